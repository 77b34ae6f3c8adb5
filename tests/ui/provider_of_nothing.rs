#![allow(unused)]

use std::sync::Arc;

use endpoint_runtime::prelude::*;

#[provider]
async fn nothing() {}

#[provider]
async fn still_nothing() -> Result<()> {
    Ok(())
}

#[provider]
fn borrowed() -> &'static str {
    "a"
}

#[provider]
fn many() -> Arc<impl Send + Sync> {
    Arc::new(7)
}

type Fallible = Result<u8>;

#[provider]
fn by_another_name() -> Fallible {
    Ok(7)
}

#[provider]
fn without_an_error() -> Result<u8, u8> {
    Ok(7)
}

fn main() {}
