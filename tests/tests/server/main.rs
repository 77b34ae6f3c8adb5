//! The server from outside: what one sees of it over TCP and Unix sockets, in its logs, its settings and its deployment errors.
//!
//! Each module has one subject of the written promises. Servers listen on any free port of `127.0.0.1`; what a test waits for it waits for
//! [`PATIENCE`](support::PATIENCE) at most, so that a slow machine fails nothing.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // In a test it is an assertion.

mod bad_input;
mod broadcast;
mod compression;
mod configurator;
mod crowds;
mod deploy;
mod deploying;
mod drain;
mod fallback;
mod foreign_tungstenite;
mod handshake;
mod handshake_facts;
mod layers;
mod limits;
mod listeners;
mod listening;
mod logs;
mod mounted;
mod negotiation;
mod origin;
mod paths;
mod prefix;
mod process;
mod proxies;
mod publishing;
mod rates;
mod settings;
mod signals;
mod stopping;
mod supervised;
mod support;
mod tls;
mod upgrading;
