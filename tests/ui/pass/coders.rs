//! Types in arguments: decoders, encoders, a configurator; by paths, with generics, and from a macro.

#![deny(warnings)]

use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Configurator, Decoder, Encoder};

/// Says it as text.
struct Plain<T>(PhantomData<fn() -> T>);

impl<T> Default for Plain<T> {
    fn default() -> Self {
        Plain(PhantomData)
    }
}

impl<T: FromStr + Send + 'static> Decoder for Plain<T> {
    type Input = Text;
    type Value = T;

    async fn decode(&mut self, input: Text) -> Result<T> {
        input.parse().map_err(|_| Error::msg("cannot be read"))
    }
}

impl<T: Display + Send + Sync + 'static> Encoder for Plain<T> {
    type Value = T;
    type Output = String;

    async fn encode(&mut self, value: &T, output: &mut String) -> Result<()> {
        output.push_str(&value.to_string());
        Ok(())
    }
}

mod boards {
    use super::*;

    #[derive(Default)]
    pub(crate) struct Board<const SIZE: usize>;

    impl<const SIZE: usize> Decoder for Board<SIZE> {
        type Input = Bytes;
        type Value = [u8; SIZE];

        fn will_decode(&self, input: &Bytes) -> bool {
            input.len() == SIZE
        }

        async fn decode(&mut self, input: Bytes) -> Result<[u8; SIZE]> {
            Ok(input.as_ref().try_into()?)
        }
    }
}

struct Checked<A, B>(PhantomData<fn() -> (A, B)>);

impl<A, B> Default for Checked<A, B> {
    fn default() -> Self {
        Checked(PhantomData)
    }
}

impl<A: 'static, B: 'static> Configurator for Checked<A, B> {}

#[server_endpoint(
    "/a",
    configurator = Checked<u8, String>,
    decoders = [Plain<u32>, boards::Board<8>, Plain::<u64>],
    encoders = [Plain<f64>,],
    subprotocols = ["plain"],
    require_subprotocol = true,
)]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn text(&self, text: String) -> String {
        text
    }
}

macro_rules! endpoints {
    ($($name:ident: $decoder:ty, $configurator:path;)*) => {
        $(
            #[server_endpoint("/by-a-macro", decoders = [$decoder], configurator = $configurator)]
            struct $name;

            #[handlers]
            impl $name {
                #[on_open]
                fn open() {}
            }
        )*
    };
}

endpoints! {
    One: Plain<u8>, Checked<u8, u8>;
}

#[client_endpoint(decoders = [Plain<u32>], encoders = [Plain<u32>])]
struct B;

#[handlers]
impl B {
    #[on_open]
    fn open() {}
}

fn main() {}
