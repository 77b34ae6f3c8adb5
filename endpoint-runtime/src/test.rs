//! For the tests of one's endpoints: an application in memory, without a port and, if one wants, without real time.
//!
//! The handshake and the frames are real: the peer is tungstenite's client, over a pipe.
//!
//! ```standalone_crate
//! use endpoint_runtime as runtime;
//! use runtime::prelude::*;
//!
//! #[server_endpoint("/reverse")]
//! struct Reverse;
//!
//! #[handlers]
//! impl Reverse {
//!     #[on_message]
//!     fn reverse(&self, text: String) -> String {
//!         text.chars().rev().collect()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // in a `#[tokio::test(start_paused = true)]`
//! let app = runtime::test::app().start().await;
//! let mut peer = app.connect("/reverse").await.unwrap();
//! peer.send("abc").await.unwrap();
//! assert_eq!(peer.text().await, "cba");
//! # }
//! ```
//!
//! With `start_paused = true` time stands still while there is anything to do, and leaps to the next timer when there is not: a
//! ping interval of 25 seconds passes at once.

mod app;
mod peer;
mod sim_engine;

pub use self::app::{App, Connect, RunningApp};
pub use self::peer::{Peer, Refused};
pub use self::sim_engine::{Cut, Faults, Harm, SimEngine, SimNode};

/// An application in memory, with every endpoint that this test program links. Settings are the defaults: neither
/// `endpoint.toml` nor the environment is read.
pub fn app() -> App {
    App::new()
}
