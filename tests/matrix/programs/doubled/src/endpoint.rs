//! Compiled into the library and into the program: two types, registered from one place.

use endpoint_runtime::prelude::*;

#[server_endpoint("/doubled")]
struct Doubled;

#[handlers]
impl Doubled {
    #[on_message]
    fn hear(&self, _: String) {}
}
