pub mod event;
pub mod world;
