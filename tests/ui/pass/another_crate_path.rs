//! The runtime under another path.

#![deny(warnings)]

mod framework {
    pub mod websocket {
        pub use endpoint_runtime::*;
    }
}

use framework::websocket::prelude::*;

#[server_endpoint("/a", crate = crate::framework::websocket)]
struct A {
    count: u32,
}

#[handlers(crate = framework::websocket)]
impl A {
    #[on_message]
    async fn text(&mut self, _text: String, session: &Session) -> Result<u32> {
        session.send("one").await?;
        self.count += 1;
        Ok(self.count)
    }
}

#[component(crate = crate::framework::websocket)]
struct B {
    #[value("b.count", default = 1)]
    count: u32,
}

struct C(#[allow(dead_code)] u32);

#[component(crate = framework::websocket)]
impl C {
    #[constructor]
    fn new(b: std::sync::Arc<B>) -> Result<Self> {
        Ok(C(b.count))
    }
}

#[provider(crate = crate::framework::websocket)]
async fn number() -> u64 {
    7
}

fn main() {}
