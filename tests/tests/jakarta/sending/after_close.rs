//! REM-08, SES-22, SES-23: what sending gives when the session is closing or closed.

use endpoint_runtime::prelude::*;
use tokio::io::AsyncWriteExt;

use super::{Bean, Row, rows, sender};
use crate::peers::{Came, Pair, Place, SIDES, closed};
use crate::table::each;
use crate::told::until;
use std::sync::Arc;

/// Every way to send: each says that the session is closed, and why.
fn ways() -> Vec<Row> {
    const REFUSED: Result<(), &str> = Err("the session is closed: ");
    rows! {
        "send", |session| { session.send("x").await? } => REFUSED, [];
        "send binary", |session| { session.send(vec![1]).await? } => REFUSED, [];
        "try_send", |session| { session.try_send("x")? } => REFUSED, [];
        "send_and_flush", |session| { session.send_and_flush("x").await? } => REFUSED, [];
        "post", |session| { session.post("x").await? } => REFUSED, [];
        "post binary", |session| { session.post(vec![1]).await? } => REFUSED, [];
        "send_object", |session| { session.send_object(Bean("x")).await? } => REFUSED, [];
        "send_object, a number", |session| { session.send_object(1).await? } => REFUSED, [];
        "post_object", |session| { session.post_object(Bean("x")).await? } => REFUSED, [];
        "post_object, a number", |session| { session.post_object(1).await? } => REFUSED, [];
        "batch", |session| { session.batch(|batch| { batch.send("x"); }).await? } => REFUSED, [];
        "flush", |session| { session.flush().await? } => REFUSED, [];
        "ping", |session| { session.ping("x").await? } => REFUSED, [];
        "pong", |session| { session.pong("x").await? } => REFUSED, [];
        "a fragment", |session| { session.send_fragment(Fragment::new("x", false)).await? } => REFUSED, [];
        "the only fragment", |session| { session.send_fragment(Fragment::new("x", true)).await? } => REFUSED, [];
        "text_writer", |session| {
            let mut writer = session.text_writer();
            writer.write_all(b"x").await?;
            writer.finish().await?
        } => REFUSED, [];
        "binary_writer", |session| {
            let mut writer = session.binary_writer();
            writer.write_all(b"x").await?;
            writer.flush().await?
        } => REFUSED, [];
        // SES-22: closing again does nothing.
        "close", |session| { session.close(CloseReason::new(4001, "again")).await? } => Ok(()), [];
    }
}

/// How far the end is.
#[derive(Clone, Copy, Debug)]
enum End {
    /// We have said so, and the peer has not answered.
    WeClose,
    /// And it has answered.
    WeClosed,
    PeerClosed,
    /// Without a word.
    Lost,
}

const ENDS: [(End, &str); 4] = [
    (End::WeClose, "4000 over"),
    (End::WeClosed, "4000 over"),
    (End::PeerClosed, "4000 over"),
    (End::Lost, "1006"),
];

#[test]
fn nothing_is_sent_by_a_session_that_closes() {
    let rows = ENDS.into_iter().flat_map(|end| SIDES.map(|side| (side, end)));
    let rows = rows.flat_map(|(side, end)| {
        ways().into_iter().map(move |way| (format!("{} ({side:?}, {:?})", way.name, end.0), (side, end, way)))
    });
    each(rows, async |(side, (end, reason), way): (Place, (End, &str), Row)| {
        let Pair { session, peer, mut stage } = Pair::open(side, sender::BOTH).await;
        let mut peer = Some(peer);
        let over = || CloseReason::new(4000, "over");
        match end {
            End::WeClose => session.close(over()).await.unwrap(),
            End::WeClosed => {
                session.close(over()).await.unwrap();
                let peer = peer.as_mut().unwrap();
                assert_eq!(peer.next().await, closed(4000, "over"));
                peer.close(4000, "").await;
                peer.hang_up().await;
            }
            End::PeerClosed => peer.as_mut().unwrap().close(4000, "over").await,
            End::Lost => peer = None,
        }
        if !matches!(end, End::WeClose) {
            let told = stage.heard.next().await;
            assert!(told.starts_with(&format!("close {reason}")), "{told}");
            until("the end", || session.close_reason().is_some()).await;
        }
        assert!(!session.is_open());
        let outcome = (way.act)(session.clone()).await;
        match (outcome, way.outcome) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(expected)) => {
                let error = error.to_string();
                assert!(error.starts_with(&format!("{expected}{reason}")), "{error}");
            }
            (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
        }
        // And nothing of it reaches the peer.
        if let Some(mut peer) = peer {
            let last = match end {
                End::PeerClosed => closed(4000, ""),
                End::WeClosed => Came::End,
                _ => closed(4000, "over"),
            };
            assert_eq!(peer.rest().await, [last]);
        }
    });
}
