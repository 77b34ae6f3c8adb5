//! Groups B, C, S and the rest of R: sessions, their message handlers, clients and containers.

mod clients;
mod closing;
mod containers;
mod handlers;
mod state;
