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

trait Role: ::std::marker::Send + ::std::marker::Sync {}

#[::endpoint_runtime::component(name = "c", as = [dyn Role], lazy)]
struct C {
    #[inject]
    context: ::endpoint_runtime::ApplicationContext,
    #[value("c.count", default = 3)]
    count: u32,
}

impl Role for C {}

// Found without a trait in scope, and whatever else has methods of these names.
impl ::endpoint_runtime::Lifecycle for C {
    async fn destroy(&self) {
        let _ = (&self.context, self.count);
    }
}

trait Misleading: ::std::marker::Sized {
    fn lifecycle(&self, _: u8) {}
    fn observer(&self, _: u8) {}
    fn aware(&self, _: u8) {}
    fn lazy(&self) {}
    fn named(&self) {}
}
impl<T> Misleading for T {}

struct D(u32);

#[::endpoint_runtime::component]
impl D {
    #[constructor]
    async fn new(
        #[inject("c")] c: ::std::sync::Arc<C>,
        #[value("d.count")] count: u32,
    ) -> ::std::result::Result<Self, ::std::io::Error> {
        ::std::result::Result::Ok(D(c.count + count))
    }
}

#[::endpoint_runtime::provider]
fn role(d: ::std::sync::Arc<D>) -> ::std::sync::Arc<dyn Role> {
    let _ = d.0;
    ::std::sync::Arc::new(E)
}

struct E;
impl Role for E {}

#[::endpoint_runtime::provider]
fn plain() -> Plain {
    Plain
}

fn main() {}
