//! A library with an endpoint, which no program names: `parts` does.

use renamed::prelude::*;

#[server_endpoint("/inner")]
struct Inner;

#[handlers]
impl Inner {
    #[on_message]
    fn hear(&self, _: String) {}
}
