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

fn main() {}
