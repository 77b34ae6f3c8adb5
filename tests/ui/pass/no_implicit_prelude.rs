//! Nothing that generated code needs has to be in scope, and nothing in scope misleads it.

#![no_implicit_prelude]
#![deny(warnings)]
#![forbid(unsafe_code)]

mod core {}
mod std {}

#[allow(dead_code)]
struct Result;
#[allow(dead_code)]
struct Option;
#[allow(dead_code)]
enum Decoy {
    Ok,
    Err,
}
#[allow(unused_imports)]
use self::Decoy::{Err, Ok};

#[derive(::std::default::Default)]
struct Plain;

impl ::endpoint_runtime::Configurator for Plain {}

impl ::endpoint_runtime::Decoder for Plain {
    type Input = ::endpoint_runtime::Text;
    type Value = usize;

    async fn decode(&mut self, input: ::endpoint_runtime::Text) -> ::endpoint_runtime::Result<usize> {
        ::std::result::Result::Ok(input.len())
    }
}

#[::endpoint_runtime::client_endpoint(decoders = [Plain])]
struct B(u32);

#[::endpoint_runtime::handlers]
impl B {
    #[on_message(max_size = 8)]
    fn text(&self, text: ::std::string::String) -> u32 {
        let _ = text;
        self.0
    }
}

#[::endpoint_runtime::server_endpoint(
    "/a/{room}",
    idle_timeout = "1m",
    overflow = wait,
    compression = on,
    decoders = [Plain],
    configurator = Plain,
)]
struct A {
    #[inject]
    shared: ::endpoint_runtime::ApplicationContext,
    count: u32,
}

#[::endpoint_runtime::handlers]
impl A {
    #[on_open]
    async fn open(&mut self, session: &::endpoint_runtime::Session, #[path] room: ::std::string::String) {
        let _ = (session, room, &self.shared);
        self.count += 1;
    }

    #[endpoint_runtime::on_message]
    fn text(&self, text: &str) -> u32 {
        let _ = text;
        self.count
    }

    #[on_message]
    async fn bytes(&self, bytes: &[u8]) {
        let _ = bytes;
    }

    #[on_close]
    fn close(&self, reason: &::endpoint_runtime::CloseReason) {
        let _ = reason;
    }

    #[on_error]
    fn error(&self, error: &::endpoint_runtime::Error) {
        let _ = error;
    }
}

fn main() {}
