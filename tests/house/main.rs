//! The house's own rules, and what needs neither servers nor network: layers, shipped
//! runbooks, bad input, the journal under attack, the run core under arbitrary input,
//! screens, whole runs on the lab.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::type_complexity,
    reason = "a test that cannot go on says so by panicking"
)]

mod accepted;
mod afterwards;
mod bad_input;
mod beside;
mod conform;
#[path = "../conformance/mod.rs"]
mod conformance;
mod core;
mod damaged;
mod demo;
mod disk;
mod doctor;
mod fingers;
mod flood;
mod headless;
mod journal;
mod keys;
mod killed;
mod killing;
mod layers;
mod lease;
mod narrowed;
mod outlived;
mod pipes;
mod pty;
mod redlined;
mod rehearsals;
mod resume;
mod reviewed;
mod scheduled;
mod screens;
mod served;
mod soak;
mod standing;
mod starved;
mod stopped;
mod support;
mod survey;
mod terminal;
mod transcript;
