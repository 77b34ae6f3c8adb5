//! A library with an endpoint, a component, and nothing else that one could use.

use endpoint_runtime::prelude::*;

#[server_endpoint("/quiet")]
struct Quiet;

#[handlers]
impl Quiet {
    #[on_message]
    fn hear(&self, _: String) {}
}

#[provider]
fn number() -> u64 {
    7
}
