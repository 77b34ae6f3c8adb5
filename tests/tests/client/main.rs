//! Clients, from outside: against our own server, against servers that are no servers but bytes, and against tungstenite's.
//!
//! Each module is one subject. [`support`] has what they share: an endpoint that tells what happens to it, and a server that says
//! whatever a test wants said.

#![allow(clippy::unwrap_used)] // A test that is surprised ends there.

mod annotated;
mod attributes;
mod closing;
mod compressed;
mod compression;
mod container;
mod deadline;
mod foreign_tungstenite;
mod handshake;
mod logged;
mod messages;
mod options;
mod parts;
mod proxy;
mod reconnect;
mod redirects;
mod support;
mod tls;
