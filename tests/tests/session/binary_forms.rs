//! Binary messages that are values: MessagePack and Protocol Buffers.

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, MsgPack, Protobuf};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Move {
    #[prost(string, tag = "1")]
    piece: String,
    #[prost(uint32, tag = "2")]
    to: u32,
}

fn a_move() -> Move {
    Move { piece: "rook".to_owned(), to: 17 }
}

macro_rules! boards {
    ($($name:ident $path:literal: $form:ident;)*) => {
        $(
            #[server_endpoint($path)]
            struct $name;

            #[handlers]
            impl $name {
                #[on_message]
                fn step(&self, $form(mut step): $form<Move>) -> $form<Move> {
                    step.to += 1;
                    $form(step)
                }

                #[on_error]
                fn error(&self, error: &DecodeError) -> String {
                    format!("{:?}", error.message())
                }
            }
        )*
    };
}

boards! {
    MsgPackBoard "/msgpack": MsgPack;
    ProtobufBoard "/protobuf": Protobuf;
}

#[tokio::test(start_paused = true)]
async fn message_pack() {
    let app = runtime::test::app().only::<MsgPackBoard>().start().await;
    let mut peer = app.connect("/msgpack").await.unwrap();
    peer.send(MsgPack(&a_move())).await.unwrap();
    let answer: Move = rmp_serde::from_slice(&peer.binary().await).unwrap();
    assert_eq!(answer, Move { to: 18, ..a_move() });
    // Fields have their names on the wire, so that others read it and either side may add some.
    peer.send(rmp_serde::to_vec_named(&a_move()).unwrap()).await.unwrap();
    let named = peer.binary().await;
    assert!(named.windows(5).any(|window| window == b"piece"), "{named:?}");
    peer.send(&[0xc1][..]).await.unwrap();
    assert_eq!(peer.text().await, r#"Binary(b"\xc1")"#);
}

#[tokio::test(start_paused = true)]
async fn protocol_buffers() {
    let app = runtime::test::app().only::<ProtobufBoard>().start().await;
    let mut peer = app.connect("/protobuf").await.unwrap();
    peer.send(Protobuf(a_move())).await.unwrap();
    let answer = <Move as prost::Message>::decode(peer.binary().await).unwrap();
    assert_eq!(answer, Move { to: 18, ..a_move() });
    // An empty message is one with all fields at their defaults.
    peer.send(&b""[..]).await.unwrap();
    let answer = <Move as prost::Message>::decode(peer.binary().await).unwrap();
    assert_eq!(answer, Move { piece: String::new(), to: 1 });
    peer.send(&[0xff][..]).await.unwrap();
    assert_eq!(peer.text().await, r#"Binary(b"\xff")"#);
}
