//! Surveys: what they hold, what they never hold, and rehearsals that start from them.

mod calm;
mod input;
mod secrets;
pub mod served;
