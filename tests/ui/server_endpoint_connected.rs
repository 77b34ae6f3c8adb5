//! A server endpoint is connected to: it does not connect.

use endpoint_runtime::prelude::*;

#[server_endpoint("/here")]
#[derive(Default)]
struct Here;

#[handlers]
impl Here {
    #[on_message]
    fn hear(&self, _text: String) {}
}

struct Nothing;

async fn connect(client: endpoint_runtime::Client) {
    let _ = client.connect(Here, "ws://host/").await;
    let _ = client.connect(Nothing, "ws://host/").await;
}

fn main() {}
