//! A library with an endpoint and a component, which no program names: `parts` does.

use std::sync::Arc;

use renamed::prelude::*;

struct Kept(u8);

#[component]
impl Kept {
    #[constructor]
    async fn new(#[value("inner.kept", default = 3)] number: u8) -> Result<Self> {
        Ok(Kept(number))
    }
}

#[server_endpoint("/inner")]
struct Inner {
    #[inject]
    kept: Arc<Kept>,
}

#[handlers]
impl Inner {
    #[on_message]
    fn hear(&self, _: String) -> u8 {
        self.kept.0
    }
}
