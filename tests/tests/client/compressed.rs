//! Compressed messages (RFC 7692) of a client, which masks what it has compressed, to a server of ours.

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, ServerEndpointConfig};
use tokio::io::AsyncWriteExt;

use super::support::{Echo, soon, start, teller, url};

/// Both ends compress and inflate what neither could have guessed, in each way that they may agree on.
#[tokio::test]
async fn client_and_server_understand_each_other() {
    for compression in [Compression::On, Compression::Context] {
        let echo = ServerEndpointConfig::builder("/echo", || Echo).compression(compression).build();
        let server = start([echo]).await;
        let (teller, mut heard) = teller();
        let client = runtime::client().compression(compression);
        let connected = client.connect(teller, url(server.local_addr(), "/echo"));
        let session = soon("connecting", connected).await.unwrap();
        heard.expect("open 1").await;
        for length in [10, 1023, 1024, 5000, 20_000, 60_000] {
            let message: String = (0..length / 10).map(|i| format!("{:>9} ", i * i)).collect();
            for _ in 0..2 {
                session.send(message.as_str()).await.unwrap();
                heard.expect(&format!("text {message}")).await;
            }
            let mut writer = session.text_writer().compressed();
            writer.write_all(message.as_bytes()).await.unwrap();
            writer.finish().await.unwrap();
            heard.expect(&format!("text {message}")).await;
        }
    }
}
