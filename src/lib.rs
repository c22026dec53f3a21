//! Holdpoint: a terminal cockpit for risky changes.
//!
//! The rooms, lowest first; a room imports only from rooms above it in this list, which
//! `tests/house` enforces:
//!
//! - L0 [`event`], [`world`], [`text`], [`problem`]: what happened, what is observed, text
//!   from outside, findings in files
//! - L1 [`runbook`], [`journal`], [`site`]: documents and the durable stream
//! - L2 [`run`]: the pure core, intents to events to state
//! - L3 [`ui`], [`report`]: pure views; [`remote`], [`action`], [`observe`],
//!   [`survey`]: IO; [`lab`]: a simulated site
//! - L4 [`session`]: the one loop
//! - L5 [`cli`]: the command line
//!
//! What must hold is listed in `ARCHITECTURE.md`.

// A reader may go at any time, and these would end the process by a panic: `cli::print` does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod action;
pub mod cli;
pub mod event;
pub mod journal;
pub mod lab;
pub mod observe;
pub mod problem;
pub mod remote;
pub mod report;
pub mod run;
pub mod runbook;
pub mod session;
pub mod site;
pub mod survey;
pub mod text;
pub mod ui;
pub mod world;
