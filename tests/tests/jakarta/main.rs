//! What Jakarta WebSocket promises, as its compatibility kit checks it: the kit's matrix as tables, on the server and on the client.
//!
//! Each module is some groups of the kit (letters as in `docs/jakarta.md`); each test of a module runs the rows of one table and names the
//! row that failed. Where the kit's own test could not fail, or has none, ours can.

#![allow(clippy::unwrap_used)] // A test that is surprised ends there.

mod ambiguities;
mod beyond;
mod coders;
mod configuration;
mod configurators;
mod deployment;
mod far;
mod handshakes;
mod identity;
mod messages;
mod paths;
mod peers;
mod returns;
mod sending;
mod sessions;
mod stage;
mod table;
mod told;
