#![allow(unused)]

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Context, DecodeError, Incoming, Kind};

struct Both;

impl FromContext for Both {
    fn from_context(_: Context<'_>) -> Result<Self> {
        Ok(Both)
    }
}

impl FromMessage for Both {
    const KIND: Kind = Kind::Text;

    fn from_message(_: Incoming<'_>) -> Result<Self, DecodeError> {
        Ok(Both)
    }
}

#[server_endpoint("/a")]
struct A;

#[handlers]
impl A {
    #[on_message]
    fn both(&self, both: Both) {}
}

fn main() {}
