//! The real tier: a real control plane, three real Vaults, the real binary.
//!
//! Run by `tests/real/run`, which builds the servers and sets `HOLDPOINT_REAL_BIN`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::type_complexity,
    reason = "a test that cannot go on says so by panicking"
)]

// Tests begin by name: what takes longest has one that comes first.
mod accidents;
mod alone;
mod back;
mod by_keys;
mod conform;
#[path = "../conformance/mod.rs"]
mod conformance;
mod driver;
mod equivalence;
#[path = "../house/fingers.rs"]
mod fingers;
mod killed;
#[path = "../house/killing.rs"]
mod killing;
mod outside;
mod panes;
mod picture;
#[path = "../house/pty.rs"]
mod pty;
mod race;
mod released;
mod site;
mod survey;
mod tools;
