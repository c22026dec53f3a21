//! The Kubernetes part: objects and their rules ([`Store`]), the API over them, and those
//! who act on them: controllers, binder, provisioner, scheduler, kubelet stand-in.

/// The version that answers here.
pub const VERSION: &str = "v1.34.4";

mod access;
pub mod api;
mod bulk;
pub mod console;
pub mod control;
pub mod faults;
mod gc;
mod kept;
mod kinds;
pub mod ports;
mod rules;
pub mod service;
mod store;

pub use self::access::{Access, Act, Rule, User};
pub use self::api::admit;
pub use self::console::Console;
pub use self::kept::Text;
pub use self::kinds::{KINDS, Kind, kind};
pub use self::service::{client, client_as, kubeconfig, serve};
pub(super) use self::store::HISTORY;
pub use self::store::{Change, Deleting, Denied, Key, Store, Touched, stamp};
