pub mod event;
pub mod problem;
pub mod runbook;
pub mod world;
pub mod run;
pub mod cli;
pub mod journal;
pub mod text;
