//! Messages in parts, as on the server: fragments and streams both ways, every frame of them masked on the way out.

use std::collections::HashSet;

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::UnboundedSender;

use super::support::{Heard, Raw, frame, teller};

/// Takes text as it comes, and bytes as a stream.
#[client_endpoint]
struct Pieces {
    heard: UnboundedSender<String>,
}

#[handlers]
impl Pieces {
    #[on_message]
    fn text(&self, part: Fragment<Text>) {
        self.heard.send(format!("{} {}", part.data, part.last)).unwrap();
    }

    #[on_message]
    async fn bytes(&self, mut reader: BinaryReader) -> Result<()> {
        let mut length = 0;
        while let Some(chunk) = reader.chunk().await? {
            length += chunk.len();
        }
        self.heard.send(format!("{length} bytes"))?;
        Ok(())
    }
}

fn pieces() -> (Pieces, Heard) {
    let (teller, heard) = teller();
    (Pieces { heard: teller.teller() }, heard)
}

#[tokio::test]
async fn parts_come_in_as_they_are_sent() {
    let raw = Raw::bind().await;
    let (pieces, mut heard) = pieces();
    let client = runtime::client();
    let (_session, mut peer) = tokio::join!(client.connect(pieces, raw.url("/")), raw.open());
    peer.write(&frame(0x01, b"one")).await;
    heard.expect("one false").await;
    peer.write(&frame(0x80, b"two")).await;
    heard.expect("two true").await;
    // More than a whole message may have.
    peer.write(&frame(0x02, &[1; 60_000])).await;
    peer.write(&frame(0x00, &[2; 60_000])).await;
    peer.write(&frame(0x80, &[])).await;
    heard.expect("120000 bytes").await;
}

#[tokio::test]
async fn parts_go_out_masked_each_with_its_own_key() {
    let raw = Raw::bind().await;
    let (pieces, _heard) = pieces();
    let client = runtime::client();
    let (session, mut peer) = tokio::join!(client.connect(pieces, raw.url("/")), raw.open());
    let session = session.unwrap();
    session.send_fragment(Fragment::new(Text::from("one"), false)).await.unwrap();
    session.send_fragment(Fragment::new(Text::from("two"), true)).await.unwrap();
    let mut keys = HashSet::new();
    for (first, payload) in [(0x01, "one"), (0x80, "two")] {
        let frame = peer.frame().await.unwrap();
        assert_eq!((frame.first, frame.payload.as_slice()), (first, payload.as_bytes()));
        keys.insert(frame.key);
    }
    let writing = tokio::spawn(async move {
        let mut writer = session.binary_writer();
        for round in 0..100u8 {
            writer.write_all(&[round; 3000]).await?;
        }
        writer.finish().await?;
        Ok::<_, Error>(session)
    });
    let (mut message, mut frames) = (Vec::new(), 0);
    loop {
        let frame = peer.frame().await.unwrap();
        assert_eq!(frame.first & 0x7f, if frames == 0 { 0x02 } else { 0x00 });
        message.extend(frame.payload);
        keys.insert(frame.key);
        frames += 1;
        if frame.first & 0x80 != 0 {
            break;
        }
    }
    let expected: Vec<u8> = (0..100).flat_map(|round| [round; 3000]).collect();
    assert!(message == expected, "the message has been damaged");
    assert!(frames > 1 && keys.len() > frames, "{frames} frames with {} keys", keys.len());
    assert!(writing.await.unwrap().unwrap().is_open());
}
