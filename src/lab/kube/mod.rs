//! The Kubernetes part: objects and their rules ([`Store`]), the API over them, and those
//! who act on them: controllers, binder, provisioner, scheduler, kubelet stand-in.

pub mod control;
mod kinds;
mod store;

pub use self::kinds::{KINDS, Kind, kind};
pub use self::store::{Change, Deleting, Denied, Key, Store, Touched};
