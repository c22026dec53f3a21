//! The real tier: a real control plane, three real Vaults, the real binary.
//!
//! Run by `tests/real/run`, which builds the servers and sets `HOLDPOINT_REAL_BIN`.

mod incident;
mod race;
mod roll;
mod site;
mod terminal;
