//! Group B, closing: each signature of `#[on_close]`, and each way to close, wherever the endpoint is.

use endpoint_runtime::ClosedBy;
use endpoint_runtime::prelude::*;

use crate::peers::{Both, Came, PLACES, Pair, Place, closed, on_both_sides};
use crate::table::each;
use crate::told::Heard;

/// One signature.
#[derive(Clone, Copy)]
struct Signature {
    name: &'static str,
    endpoint: Both,
    /// What the method tells; `REASON` and `BY` stand for what the session was closed with.
    tells: &'static str,
}

/// Declares an endpoint for each signature, and the table of them.
macro_rules! signatures {
    ($($name:ident at $path:literal: ($($parameter:tt)*) => $told:expr, $tells:literal;)*) => {
        $(on_both_sides! {
            $name at $path [] {
                #[on_close]
                fn close(&self, $($parameter)*) {
                    self.told.tell($told);
                }
            }
        })*

        const SIGNATURES: &[Signature] =
            &[$(Signature { name: stringify!($name), endpoint: $name::BOTH, tells: $tells }),*];
    };
}

signatures! {
    nothing at "/closing/nothing": () => "nothing", "nothing";
    reason_ref at "/closing/reason-ref": (reason: &CloseReason) => reason, "REASON";
    reason at "/closing/reason": (reason: CloseReason) => reason, "REASON";
    session_ref at "/closing/session-ref":
        (session: &Session) => format_args!("{:?} {:?}", session.is_open(), session.close_reason()),
        "false Some(CloseReason(REASON, by BY))";
    session at "/closing/session":
        (session: Session) => format_args!("{:?} {:?}", session.is_open(), session.close_reason()),
        "false Some(CloseReason(REASON, by BY))";
    session_then_reason at "/closing/session-reason":
        (session: &Session, reason: &CloseReason) => format_args!("{} {reason:?}", session.is_open()),
        "false CloseReason(REASON, by BY)";
    reason_then_session at "/closing/reason-session":
        (reason: CloseReason, session: Session) => format_args!("{} {reason:?}", session.is_open()),
        "false CloseReason(REASON, by BY)";
    query at "/closing/query":
        (#[query] seat: Option<u32>, reason: &CloseReason) => format_args!("{seat:?} {reason}"),
        "None REASON";
    handshake at "/closing/handshake":
        (handshake: &Handshake, reason: &CloseReason) => format_args!("{} {reason}", handshake.path()),
        "/closing/handshake REASON";
}

/// Variables of the path are for servers alone.
macro_rules! signatures_with_path {
    ($($name:ident at $path:literal: ($($parameter:tt)*) => $told:expr, $tells:literal;)*) => {
        $(mod $name {
            use super::*;

            #[server_endpoint($path)]
            pub(super) struct OnServer {
                #[inject]
                told: std::sync::Arc<crate::told::Told>,
            }

            #[handlers]
            impl OnServer {
                #[on_close]
                fn close(&self, $($parameter)*) {
                    self.told.tell($told);
                }
            }
        })*

        const WITH_PATH: &[Signature] = &[$(Signature {
            name: stringify!($name),
            endpoint: Both {
                path: $path,
                config: || endpoint_runtime::ServerEndpointConfig::of::<$name::OnServer>(),
                connect: |_, _, _| panic!("not on a client"),
            },
            tells: $tells,
        }),*];
    };
}

signatures_with_path! {
    path at "/closing/path/{seat}": (#[path] seat: String) => seat, "{seat}";
    path_then_reason at "/closing/path-reason/{seat}":
        (#[path] seat: String, reason: &CloseReason) => format_args!("{seat} {reason}"), "{seat} REASON";
    all at "/closing/all/{seat}":
        (session: &Session, #[path("seat")] name: String, reason: CloseReason) =>
            format_args!("{} {name} {reason}", session.is_open()),
        "false {seat} REASON";
}

/// One way to close.
#[derive(Clone, Copy, Debug)]
struct Closing {
    by_us: bool,
    code: u16,
    text: &'static str,
}

const CLOSINGS: [Closing; 6] = [
    // `close()`, both ways.
    Closing { by_us: true, code: 1000, text: "" },
    Closing { by_us: false, code: 1000, text: "" },
    // The kit's `close(TOO_BIG, "TCKCloseNowWithReason")`, both ways.
    Closing { by_us: true, code: 1009, text: "TCKCloseNowWithReason" },
    Closing { by_us: false, code: 1009, text: "TCKCloseNowWithReason" },
    // A code of the application's.
    Closing { by_us: true, code: 4999, text: "héllo" },
    Closing { by_us: false, code: 4999, text: "héllo" },
];

impl Closing {
    /// Closes in this way, and sees that the peer hears of it.
    async fn close(self, session: &Session, peer: &mut crate::peers::Peer) {
        let Closing { by_us, code, text } = self;
        if by_us {
            session.close(CloseReason::new(code, text)).await.unwrap();
            assert!(!session.is_open(), "open after close()");
            assert_eq!(peer.next().await, closed(code, text));
            peer.close(code, "").await;
        } else {
            peer.close(code, text).await;
            // RFC 6455 5.5.1: the answer has the same code.
            assert_eq!(peer.next().await, closed(code, ""));
        }
        peer.hang_up().await;
        assert_eq!(peer.next().await, Came::End);
    }

    fn reason(self) -> String {
        format!("{} {}", self.code, self.text).trim_end().to_owned()
    }

    fn by(self) -> ClosedBy {
        if self.by_us { ClosedBy::Application } else { ClosedBy::Peer }
    }
}

/// closeTest to close11Test, WSC-4.5-1, WSC-2.1.5-1.
#[test]
fn every_signature_of_on_close_is_called_once() {
    let signatures = SIGNATURES.iter().map(|signature| (signature, &PLACES[..]));
    let signatures = signatures.chain(WITH_PATH.iter().map(|signature| (signature, &PLACES[..2])));
    let rows = signatures.flat_map(|(signature, places)| places.iter().map(move |place| (signature, *place)));
    let rows = rows.flat_map(|(signature, place)| CLOSINGS.map(|closing| (signature, place, closing)));
    let rows = rows.map(|row @ (Signature { name, .. }, place, closing)| {
        (format!("{name} ({place:?}, {closing:?})"), row)
    });
    each(rows, async |(signature, place, closing): (&Signature, Place, Closing)| {
        // The segment stands for itself.
        let path = signature.endpoint.path.replace("{seat}", "%7Bseat%7D");
        let Pair { session, mut peer, stage } = Pair::open_at(place, signature.endpoint, &path).await;
        closing.close(&session, &mut peer).await;
        let expected = signature
            .tells
            .replace("REASON", &closing.reason())
            .replace("BY", &format!("{:?}", closing.by()));
        told_only(stage.heard, &expected).await;
        let reason = session.close_reason().unwrap();
        assert_eq!((reason.to_string(), reason.closed_by()), (closing.reason(), closing.by()));
    });
}

/// This is told, and nothing after it.
async fn told_only(mut heard: Heard, expected: &str) {
    assert_eq!(heard.next().await, expected);
    // Whatever else is due has time to happen.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(heard.so_far(), Vec::<String>::new());
}

on_both_sides! {
    /// Fails at the end.
    failing at "/closing/failing" [] {
        #[on_close]
        fn close(&self, reason: &CloseReason) -> Result<()> {
            self.told.tell(format_args!("close {reason}"));
            Err(Error::msg("on_close says no"))
        }

        #[on_error]
        fn error(&self, error: &Error, session: &Session) {
            self.told.tell(format_args!("error {error} {}", session.id()));
        }
    }
}

on_both_sides! {
    /// Panics at the end.
    panicking at "/closing/panicking" [] {
        #[on_close]
        fn close(&self, reason: &CloseReason) {
            self.told.tell(format_args!("close {reason}"));
            panic!("on_close panics");
        }

        #[on_error]
        fn error(&self, error: &Error, session: &Session) {
            self.told.tell(format_args!("error {error} {}", session.id()));
        }
    }
}

/// close12Test, WSC-4.5-3: what fails in `#[on_close]` goes to `#[on_error]`, with the session.
#[test]
fn what_fails_in_on_close_goes_to_on_error() {
    let endpoints =
        [(failing::BOTH, "on_close says no"), (panicking::BOTH, "a handler panicked: on_close panics")];
    let rows = endpoints.into_iter().flat_map(|endpoint| PLACES.map(|place| (endpoint, place)));
    let rows = rows.flat_map(|(endpoint, place)| CLOSINGS.map(|closing| (endpoint, place, closing)));
    let rows =
        rows.map(|row @ ((_, error), place, closing)| (format!("{error} ({place:?}, {closing:?})"), row));
    each(rows, async |((endpoint, error), place, closing): ((Both, &str), Place, Closing)| {
        let Pair { session, mut peer, mut stage } = Pair::open(place, endpoint).await;
        closing.close(&session, &mut peer).await;
        assert_eq!(stage.heard.next().await, format!("close {}", closing.reason()));
        told_only(stage.heard, &format!("error {error} {}", session.id())).await;
    });
}
