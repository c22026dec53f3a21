//! The house's own rules, and what needs neither servers nor network: layers, shipped
//! runbooks, bad input, the journal under attack, the run core under arbitrary input,
//! screens.

mod bad_input;
mod core;
mod journal;
mod layers;
mod screens;
mod support;
