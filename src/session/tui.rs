//! stub
use crate::event::Actor;
use crate::session::engine::Handle;
/// The cockpit.
pub async fn tui(_handle: Handle, _actor: &Actor) -> Result<bool, String> { Err("no".into()) }
