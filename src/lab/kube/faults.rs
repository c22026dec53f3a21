//! What can go wrong with the API server, by its name in [`World::faults`].
//!
//! [`World::faults`]: crate::lab::World::faults

/// Nobody answers: connections are refused, open watches break off.
pub const API_OUTAGE: &str = "api-outage";
/// Every answer takes one to three seconds.
pub const API_SLOW: &str = "api-slow";
/// Watches stay open and say nothing more, not even that they end; lists are as ever.
pub const WATCH_STALE: &str = "watch-stale";
/// Nobody may delete pods or claims any more, and reviews say so.
pub const FORBIDDEN: &str = "forbidden";
