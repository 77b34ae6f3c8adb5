//! Pings and pongs, what they are to an idle timeout, and the send timeout.

use std::time::Duration;

use endpoint_runtime::SendError;

use super::sender;
use crate::peers::{Came, PING, PONG, Pair, Peer, Place, SIDES, StoppedClock, closed};
use crate::table::each;
use endpoint_runtime::prelude::*;

/// Every row on both sides.
fn on_both<R: Clone>(
    rows: impl IntoIterator<Item = R>,
    name: impl Fn(&R) -> String,
) -> Vec<(String, (Place, R))> {
    let rows = rows.into_iter();
    rows.flat_map(|row| SIDES.map(|side| (format!("{} ({side:?})", name(&row)), (side, row.clone()))))
        .collect()
}

const SIZES: [usize; 5] = [0, 1, 7, 124, 125];

/// REM-04, MH-07: the answer to our ping, with the same data, reaches the pong handler.
#[test]
fn pings_are_answered_to_the_pong_handler() {
    each(on_both(SIZES, |size| format!("{size} bytes")), async |(side, size)| {
        let mut pair = Pair::open(side, sender::BOTH).await;
        let payload = vec![b'x'; size];
        pair.session.ping(&payload).await.unwrap();
        assert_eq!(pair.peer.next().await, Came::Ping(payload.clone()));
        pair.peer.frame(PONG, &payload).await;
        assert_eq!(pair.told().await, format!("pong {:?}", Bytes::from(payload)));
    });
}

/// REM-05: a pong that we send without being asked goes out as it is.
#[test]
fn pongs_go_out() {
    each(on_both(SIZES, |size| format!("{size} bytes")), async |(side, size)| {
        let mut pair = Pair::open(side, sender::BOTH).await;
        pair.session.pong(vec![b'x'; size]).await.unwrap();
        assert_eq!(pair.peer.next().await, Came::Pong(vec![b'x'; size]));
    });
}

/// MH-07: a pong that nobody asked for reaches the handler.
#[test]
fn unsolicited_pongs_are_handled() {
    each(on_both(SIZES, |size| format!("{size} bytes")), async |(side, size)| {
        let mut pair = Pair::open(side, sender::BOTH).await;
        pair.peer.frame(PONG, vec![b'x'; size]).await;
        assert_eq!(pair.told().await, format!("pong {:?}", Bytes::from(vec![b'x'; size])));
    });
}

/// REM-06: the peer's ping is answered with the same data, and the endpoint hears nothing of it.
#[test]
fn the_peers_pings_are_answered() {
    each(on_both(SIZES, |size| format!("{size} bytes")), async |(side, size)| {
        let mut pair = Pair::open(side, sender::BOTH).await;
        pair.peer.frame(PING, vec![b'x'; size]).await;
        assert_eq!(pair.peer.next().await, Came::Pong(vec![b'x'; size]));
        pair.peer.frame(PONG, "behind").await;
        assert_eq!(pair.told().await, r#"pong b"behind""#);
    });
}

/// REM-04, REM-05: more than 125 bytes are refused, and nothing is sent.
#[test]
fn long_control_frames_are_refused() {
    let rows = [126, 127, 1000, 70_000].into_iter().flat_map(|size| [("ping", size), ("pong", size)]);
    each(on_both(rows, |(what, size)| format!("{what} of {size} bytes")), async |(side, (what, size))| {
        let mut pair = Pair::open(side, sender::BOTH).await;
        let payload = vec![b'x'; size];
        let refused = match what {
            "ping" => pair.session.ping(payload).await,
            _ => pair.session.pong(payload).await,
        };
        assert!(matches!(refused, Err(SendError::ControlTooLong { bytes }) if bytes == size), "{refused:?}");
        pair.session.close(CloseReason::normal()).await.unwrap();
        assert_eq!(pair.peer.rest().await, [closed(1000, "")]);
    });
}

/// What may happen every 500 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poke {
    Nothing,
    WePing,
    WePong,
    PeerPings,
    PeerPongs,
    WeSend,
    PeerSends,
}

impl Poke {
    /// Pokes, and sees that it has arrived.
    async fn poke(self, session: &Session, peer: &mut Peer) {
        match self {
            Poke::Nothing => {}
            Poke::WePing => {
                session.ping("x").await.unwrap();
                assert_eq!(peer.next().await, Came::Ping(b"x".to_vec()));
            }
            Poke::WePong => {
                session.pong("x").await.unwrap();
                assert_eq!(peer.next().await, Came::Pong(b"x".to_vec()));
            }
            Poke::PeerPings => {
                peer.frame(PING, "x").await;
                assert_eq!(peer.next().await, Came::Pong(b"x".to_vec()));
            }
            Poke::PeerPongs => peer.frame(PONG, "x").await,
            Poke::WeSend => {
                session.send("x").await.unwrap();
                assert!(matches!(peer.next().await, Came::Text(..)));
            }
            Poke::PeerSends => peer.text("x").await,
        }
    }
}

/// SES-14: with an idle timeout of 1500 ms, whatever goes either way every 500 ms keeps the session, and nothing else does.
#[test]
fn traffic_postpones_the_idle_timeout() {
    use Poke::{Nothing, PeerPings, PeerPongs, PeerSends, WePing, WePong, WeSend};
    let pokes = [Nothing, WePing, WePong, PeerPings, PeerPongs, WeSend, PeerSends];
    each(on_both(pokes, |poke| format!("{poke:?}")), async |(side, poke)| {
        let mut pair = Pair::open(side, sender::BOTH).await;
        pair.session.add_message_handler(|_: String| async {}).unwrap();
        let clock = StoppedClock::stop();
        pair.session.set_idle_timeout(Duration::from_millis(1500));
        // Nobody has done anything for as long as that, if the pokes are nothing.
        for _ in 0..3 {
            clock.advance(Duration::from_millis(450)).await;
            poke.poke(&pair.session, &mut pair.peer).await;
        }
        assert!(pair.session.is_open(), "in time");
        clock.advance(Duration::from_millis(1000)).await;
        let kept = poke != Nothing;
        assert_eq!(pair.session.is_open(), kept, "1000 ms after the last poke");
        if kept {
            clock.advance(Duration::from_millis(600)).await;
        }
        assert!(!pair.session.is_open(), "1600 ms after the last poke");
        assert!(matches!(pair.peer.next().await, Came::Close(1001, _)));
        pair.peer.close(1001, "").await;
        loop {
            let told = pair.told().await;
            if !told.starts_with("pong") {
                assert!(told.starts_with("close 1006 idle"), "{told}");
                break;
            }
        }
    });
}

/// ASY-07: what is set is what one gets, and zero is none.
#[test]
fn the_send_timeout_is_what_was_set() {
    let second = Some(Duration::from_secs(1));
    let rows = [(second, second), (None, None), (Some(Duration::ZERO), None)];
    each(on_both(rows, |(set, _)| format!("{set:?}")), async |(side, (set, expected))| {
        let pair = Pair::open(side, sender::BOTH).await;
        assert_eq!(pair.session.send_timeout(), Some(Duration::from_secs(20)), "at first");
        pair.session.set_send_timeout(set);
        assert_eq!(pair.session.send_timeout(), expected);
    });
}

/// ASY-07: and it is kept. The peer reads nothing.
#[test]
fn the_send_timeout_is_kept() {
    each(on_both([100, 300], |time| format!("{time} ms")), async |(side, time)| {
        let pair = Pair::open(side, sender::BOTH).await;
        let time = Duration::from_millis(time);
        pair.session.set_send_timeout(time);
        let begin = std::time::Instant::now();
        let error = loop {
            if let Err(error) = pair.session.send("x".repeat(256 * 1024)).await {
                break error;
            }
        };
        // Who waits for room and the peer that takes nothing run out of time together.
        let timed_out = match &error {
            SendError::Full => true,
            SendError::Closed(reason) => reason.code() == CloseCode::Again,
            _ => false,
        };
        assert!(timed_out, "{error}");
        assert!(
            begin.elapsed() >= time && begin.elapsed() < Duration::from_secs(15),
            "{:?}",
            begin.elapsed()
        );
    });
}
