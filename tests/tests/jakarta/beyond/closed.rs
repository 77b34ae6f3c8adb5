//! Closing twice, and every use of a session after it has closed (SES-13, SES-20 to SES-23, SES-28, REM-08).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{ClosedBy, HandlerConflict, SendError, TrySendError};
use tokio::io::AsyncWriteExt;

use super::pair::{Pair, SIDES, Side, both_sides};
use crate::table::{equal, rows};
use crate::told::{Told, until};

/// What the application keeps of a session.
#[derive(Clone, Debug, PartialEq)]
struct Note(String);

both_sides! {
    Closing at "/beyond/closed", ClosingClient () {
        #[on_open]
        fn open(&self, session: &Session) {
            session.attributes().insert(Note("open".to_owned()));
            session.join("blue");
            session.set_user("bo");
        }

        #[on_message]
        fn text(&self, text: String, session: &Session) -> String {
            session.attributes().insert(Note(text.clone()));
            text
        }

        #[on_close]
        async fn close(&self, session: &Session, reason: &CloseReason) {
            // WSC-2.1.2-2: to the end of `on_close`, whatever it waits for.
            for _ in 0..20 {
                let note = session.attributes().get::<Note>();
                self.told.tell(format_args!("{note:?} {:?} {:?}", session.user(), session.rooms()));
                tokio::task::yield_now().await;
            }
            let sent = session.send("too late").await.is_ok();
            self.told.tell(format_args!("close {reason} {:?}, open {}, sent {sent}", reason.closed_by(), session.is_open()));
        }
    }
}

/// A pair whose tested session is about to close.
async fn pair(side: Side) -> Pair {
    let mut pair = ClosingClient::pair(side, "?a=1").await;
    pair.other.send("changed").await.unwrap();
    pair.others.expect("changed").await;
    pair
}

/// Who ends the session, and what `on_close` is told of it.
#[derive(Clone, Copy)]
enum End {
    We,
    They,
    /// The server stops.
    Server,
}

const ENDS: [(&str, End); 3] =
    [("closed by us", End::We), ("closed by them", End::They), ("the server stops", End::Server)];

impl End {
    /// Ends the tested session of the pair.
    async fn end(self, pair: &mut Pair, side: Side) -> (u16, ClosedBy) {
        let reason = CloseReason::new(4000, "done");
        match self {
            End::We => pair.tested.close(reason).await.unwrap(),
            End::They => pair.other.close(reason).await.unwrap(),
            End::Server => pair.stop().await,
        }
        until("the end", || pair.tested.close_reason().is_some()).await;
        match (self, side) {
            (End::We, _) => (4000, ClosedBy::Application),
            (End::They, _) => (4000, ClosedBy::Peer),
            (End::Server, Side::Server) => (1001, ClosedBy::Container),
            (End::Server, Side::Client) => (1001, ClosedBy::Peer),
        }
    }
}

#[tokio::test]
async fn the_session_can_be_read_to_the_end_of_on_close() {
    let table = SIDES.into_iter().flat_map(|side| ENDS.map(|(name, end)| (name, side, end)));
    rows(table.map(|(name, side, end)| {
        (format!("{name}, {side:?}"), async move {
            let mut pair = pair(side).await;
            let (code, by) = end.end(&mut pair, side).await;
            for _ in 0..20 {
                pair.heard.expect(r#"Some(Note("changed")) Some("bo") ["blue"]"#).await;
            }
            let told = pair.heard.next().await;
            assert!(told.starts_with(&format!("close {code} ")), "{told}");
            assert!(told.ends_with(&format!("{by:?}, open false, sent false")), "{told}");
        })
    }))
    .await;
}

/// SES-22: closing again has no effect, from either end, in whatever order; the first reason counts, and `on_close` runs once.
#[tokio::test]
async fn closing_again_has_no_effect() {
    let table = SIDES.into_iter().flat_map(|side| ENDS.map(|(name, end)| (name, side, end)));
    rows(table.map(|(name, side, end)| {
        (format!("{name}, {side:?}"), async move {
            let mut pair = pair(side).await;
            if let End::We = end {
                // Before anybody has noticed the first.
                pair.tested.close(CloseReason::new(4000, "done")).await.unwrap();
                pair.tested.close(CloseReason::new(4001, "again")).await.unwrap();
            }
            let (code, by) = end.end(&mut pair, side).await;
            pair.tested.close(CloseReason::new(4002, "once more")).await.unwrap();
            pair.other.close(CloseReason::new(4003, "and they")).await.unwrap();
            assert_eq!(pair.tested.sessions().all().close(CloseReason::away("all")).await, 0);
            let told = pair.heard.up_to("close ").await;
            assert_eq!(told.len(), 21, "{told:?}");
            pair.others.up_to("close ").await;
            pair.stop().await;
            assert_eq!(pair.heard.so_far(), [""; 0]);
            let reason = pair.tested.close_reason().unwrap();
            assert_eq!((u16::from(reason.code()), reason.closed_by()), (code, by));
        })
    }))
    .await;
}

type Used<'s> = Pin<Box<dyn Future<Output = Result<()>> + Send + 's>>;

type Use = for<'s> fn(&'s Session) -> Used<'s>;

/// Every way to send.
const SENDS: [(&str, Use); 16] = [
    ("send", |session| Box::pin(async { Ok(session.send("x").await?) })),
    ("send, binary", |session| Box::pin(async { Ok(session.send(b"x").await?) })),
    ("send_and_flush", |session| Box::pin(async { Ok(session.send_and_flush("x").await?) })),
    ("try_send", |session| {
        Box::pin(async {
            match session.try_send("given back") {
                Err(TrySendError::Closed(message, reason)) => {
                    assert_eq!(message.as_text(), Some("given back"));
                    Err(SendError::Closed(reason).into())
                }
                other => Ok(other?),
            }
        })
    }),
    ("post", |session| Box::pin(async { Ok(session.post("x").await?) })),
    ("batch", |session| {
        Box::pin(async {
            let fill = |batch: &mut endpoint_runtime::Batch| {
                batch.send("x");
            };
            Ok(session.batch(fill).await?)
        })
    }),
    ("ping", |session| Box::pin(async { Ok(session.ping("x").await?) })),
    ("pong", |session| Box::pin(async { Ok(session.pong("x").await?) })),
    ("send_fragment", |session| {
        Box::pin(async { Ok(session.send_fragment(Fragment::new("x", false)).await?) })
    }),
    ("send_fragment, last", |session| {
        Box::pin(async { Ok(session.send_fragment(Fragment::new(Bytes::new(), true)).await?) })
    }),
    ("text_writer", |session| {
        Box::pin(async {
            let mut writer = session.text_writer();
            writer.write_all(b"x").await?;
            Ok(writer.finish().await?)
        })
    }),
    ("binary_writer", |session| {
        Box::pin(async {
            let mut writer = session.binary_writer();
            writer.write_all(&[0; 100_000]).await?;
            Ok(writer.finish().await?)
        })
    }),
    ("send_object", |session| Box::pin(async { Ok(session.send_object(7u8).await?) })),
    ("post_object", |session| Box::pin(async { Ok(session.post_object(7u8).await?) })),
    ("flush", |session| Box::pin(async { Ok(session.flush().await?) })),
    ("a writer that was there before", |session| {
        Box::pin(async {
            let writer = session.attributes().get_shared::<tokio::sync::Mutex<TextWriter>>().unwrap();
            let mut writer = writer.lock().await;
            writer.write_all(&[b'x'; 100_000]).await?;
            Ok(writer.flush().await?)
        })
    }),
];

/// REM-08: every way to send says that the session is closed, and why.
#[tokio::test]
async fn nothing_can_be_sent_after_the_end() {
    for side in SIDES {
        for (end, how) in ENDS {
            let mut pair = pair(side).await;
            pair.tested.attributes().insert(tokio::sync::Mutex::new(pair.tested.text_writer()));
            let (code, by) = how.end(&mut pair, side).await;
            let session = &pair.tested;
            rows(SENDS.map(|(name, send)| {
                (format!("{name}, {end}, {side:?}"), async move {
                    match send(session).await {
                        Err(Error::Send(SendError::Closed(reason))) => {
                            assert_eq!((u16::from(reason.code()), reason.closed_by()), (code, by));
                        }
                        other => panic!("{other:?}"),
                    }
                })
            }))
            .await;
        }
    }
}

/// What a session says of itself.
fn said(session: &Session) -> Vec<(&'static str, String)> {
    let handshake = session.handshake();
    vec![
        ("id", session.id().to_string()),
        ("uri", session.uri().to_string()),
        ("path", session.path().to_owned()),
        ("path_param", format!("{:?}", session.path_param("x"))),
        ("config", format!("{:?}", session.config())),
        ("subprotocol", format!("{:?}", session.subprotocol())),
        ("extensions", format!("{:?}", session.extensions())),
        ("protocol_version", session.protocol_version().to_owned()),
        ("is_secure", session.is_secure().to_string()),
        ("attributes", format!("{:?}", session.attributes().get::<Note>())),
        ("user", format!("{:?}", session.user())),
        ("rooms", format!("{:?}", session.rooms())),
        ("url", handshake.url().to_string()),
        ("headers", format!("{:?}", handshake.headers())),
        ("parameters", format!("{:?}", handshake.parameters())),
        ("peer_addr", format!("{:?}", handshake.peer_addr())),
        ("local_addr", format!("{:?}", handshake.local_addr())),
        ("idle_timeout", format!("{:?}", session.idle_timeout())),
        ("send_timeout", format!("{:?}", session.send_timeout())),
        ("max_text_size", session.max_text_size().to_string()),
        ("max_binary_size", session.max_binary_size().to_string()),
        ("application", session.application().find::<Told>().is_some().to_string()),
        ("queued_bytes", session.queued_bytes().to_string()),
        ("dropped", session.dropped().to_string()),
    ]
}

/// SES-23 is not kept on purpose: what a session says of itself it says for as long as anybody holds it.
#[tokio::test]
async fn everything_can_be_read_after_the_end() {
    for side in SIDES {
        for (end, how) in ENDS {
            let mut pair = pair(side).await;
            let session = &pair.tested.clone();
            assert!(session.is_open() && session.close_reason().is_none());
            let before = said(session);
            how.end(&mut pair, side).await;
            assert!(!session.is_open());
            let after = said(session);
            equal(
                before
                    .into_iter()
                    .zip(after)
                    .map(|((name, before), (_, after))| (format!("{name}, {end}, {side:?}"), after, before)),
            );
            // What would change something changes nothing, and harms nobody.
            session.set_idle_timeout(Duration::from_secs(1));
            session.set_send_timeout(None);
            session.set_max_text_size(1);
            session.set_max_binary_size(1);
            session.set_user("late");
            assert!(!session.join("late") && !session.leave("late") && session.rooms() == ["blue"]);
            assert_eq!(session.user().as_deref(), Some("bo"));
            let added = session.add_message_handler(|_: Ping| async {});
            assert!(matches!(added, Err(HandlerConflict::Closed)), "{added:?}");
            assert!(session.message_handlers().is_empty() && session.siblings().is_empty());
            assert!(session.sessions().get(session.id()).is_none());
            assert_eq!(session.spawn(std::future::pending::<()>()).await.unwrap(), None);
        }
    }
}
