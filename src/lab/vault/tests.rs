//! The API in every state.
