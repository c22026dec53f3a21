//! L3: the cockpit's views. Pure: `&State`, a [`Model`] and the time go in, cells of a
//! buffer come out; keys become [`Asked`]. Nothing here is part of the run's state.
//!
//! Every state is told by a word and a sign as well as by colour; red is kept for what
//! needs a person now. What does not fit ends in `…`, and the full text is a key away.

mod back;
mod checklist;
mod command;
mod detail;
mod keymap;
mod look;
mod model;
mod overlay;
mod panes;
mod review;
mod text;
mod theme;
mod title;
mod view;

pub(crate) use detail::{basis, filled, risk};
pub use keymap::{Asked, Key, KeyCode, key, keys};
pub use look::{Colours, Environment, Look};
pub use model::{Entry, Model, Overlay, Pane, Reading, Review, SMALLEST, View, Writing, busy};
pub use view::{Frame, draw};
