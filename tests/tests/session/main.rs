//! What a session promises, from outside: a real handshake and real frames, in memory, against the public API alone.
//!
//! Each module is one subject. Time is paused wherever it matters, so that twenty-five seconds of silence take no time; where threads
//! matter, there are several. [`support`] has what the modules share: a diary for handlers, a gate to hold them at, and a peer made
//! of bytes for what a decent client would never do.

#![allow(clippy::unwrap_used)] // A test that is surprised ends there.

mod always_alive;
mod arguments;
mod binary_forms;
mod broadcast;
mod closing;
mod coders;
mod compressed;
mod compression;
mod forms_in;
mod fragments_out;
mod life;
mod logged;
mod message_handlers;
mod on_close_truth;
mod overflow;
mod panics_and_errors;
mod receiving;
mod registry;
mod replies;
mod scope;
mod sending;
mod support;
mod timers;
mod tuning;
mod writers;
