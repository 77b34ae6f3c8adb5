//! Bad input: whatever a peer sends, or does not send, the server neither panics nor hangs, and serves the others.

use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{ClosedBy, Server};
use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{
    Echo, Raw, Reporter, binary, closed, connect, frame, next, only, only_these, says_back, soon, start,
    text, upgrade,
};

/// Panics in the runtime's own code.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts them from now on: a task that panics takes only itself along, and nobody would notice.
fn watch_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.location().is_some_and(|place| place.file().contains("endpoint-runtime")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
}

fn assert_no_panic() {
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "the runtime has panicked: see above");
}

/// Numbers that look random and are the same in every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    fn bytes(&mut self, longest: usize) -> Vec<u8> {
        let length = self.below(longest) + 1;
        (0..length).map(|_| self.roll() as u8).collect()
    }

    /// Some of the bytes replaced, removed or repeated.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(3) {
                0 => bytes[at] = self.roll() as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, bytes[at]),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
    }
}

/// The server still serves, and nothing is left of those who came before.
async fn still_serves(server: Server) {
    let mut client = connect(server.local_addr(), "/echo").await;
    says_back(&mut client, "still here").await;
    drop(client);
    soon("the shutdown", server.shutdown()).await;
    assert_no_panic();
}

/// Sends bytes, then the end of the stream, and reads all that comes: the server must end the connection.
async fn send_and_read_to_the_end(raw: &mut Raw, bytes: &[u8]) -> Vec<u8> {
    if raw.try_send(bytes).await {
        raw.half_close().await;
    }
    raw.ended().await
}

#[tokio::test]
async fn random_bytes_instead_of_a_request() {
    watch_for_panics();
    let server = start(only::<Echo>()).await;
    let mut dice = Dice(0x5eed_0001);
    for _ in 0..150 {
        let bytes = dice.bytes(2000);
        let answer = send_and_read_to_the_end(&mut Raw::connect(server.local_addr()).await, &bytes).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    still_serves(server).await;
}

#[tokio::test]
async fn damaged_requests() {
    watch_for_panics();
    let server = start(only::<Echo>()).await;
    let mut dice = Dice(0x5eed_0002);
    for _ in 0..300 {
        let mut bytes = upgrade("/echo?x=y", &["Origin: http://server.example", "Cookie: a=b"]).into_bytes();
        dice.damage(&mut bytes);
        let answer = send_and_read_to_the_end(&mut Raw::connect(server.local_addr()).await, &bytes).await;
        let answer = String::from_utf8_lossy(&answer);
        let good =
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 101");
        assert!(good, "{answer} to {}", String::from_utf8_lossy(&bytes));
    }
    still_serves(server).await;
}

/// The close code of the frame that the server ended with, if it sent one.
fn last_code(mut bytes: &[u8]) -> Option<u16> {
    let mut code = None;
    // A server's frames are not masked.
    while let [head, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize, &rest[8..]),
            short => (usize::from(*short), rest),
        };
        if head & 0x0f == 8 {
            code = Some(if length < 2 { 1005 } else { u16::from_be_bytes([rest[0], rest[1]]) });
        }
        bytes = &rest[length..];
    }
    code
}

#[tokio::test]
async fn random_bytes_instead_of_frames() {
    watch_for_panics();
    let server = start(only::<Echo>()).await;
    let mut dice = Dice(0x5eed_0003);
    let mut refused = 0;
    for _ in 0..150 {
        let bytes = dice.bytes(2000);
        let answer =
            send_and_read_to_the_end(&mut Raw::upgraded(server.local_addr(), "/echo").await, &bytes).await;
        match last_code(&answer) {
            Some(1002 | 1007 | 1009) => refused += 1,
            // A few bytes may be the beginning of something good.
            None => {}
            other => panic!("{other:?} to {bytes:?}"),
        }
    }
    assert!(refused > 100, "{refused}");
    still_serves(server).await;
}

#[tokio::test]
async fn damaged_frames() {
    watch_for_panics();
    let server = start(only::<Echo>()).await;
    let mut dice = Dice(0x5eed_0004);
    for _ in 0..300 {
        let mut bytes = text("hello");
        bytes.extend(frame(false, 1, "gré".as_bytes()));
        bytes.extend(frame(true, 9, b"ping"));
        bytes.extend(frame(true, 0, "ßen".as_bytes()));
        bytes.extend(binary(&[0; 300]));
        dice.damage(&mut bytes);
        let answer =
            send_and_read_to_the_end(&mut Raw::upgraded(server.local_addr(), "/echo").await, &bytes).await;
        let code = last_code(&answer);
        assert!(
            code.is_none_or(|code| matches!(code, 1000..=1003 | 1005 | 1007 | 1009 | 3000..=4999)),
            "{code:?} to {bytes:?}"
        );
    }
    still_serves(server).await;
}

/// What an HTTP server may be sent besides: other protocols, and tricks.
#[tokio::test]
async fn other_protocols() {
    watch_for_panics();
    let server = start(only::<Echo>().configure(|settings| settings.http2 = false)).await;
    let requests: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"EHLO mail.example\r\n",
        b"GET /echo\r\n\r\n",
        b"GET /echo HTTP/9.9\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    for request in requests {
        let answer = send_and_read_to_the_end(&mut Raw::connect(server.local_addr()).await, request).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"),
            "{answer}"
        );
    }
    still_serves(server).await;
}

/// Two hundred at once, without a close frame, most by a reset: before, during and after the handshake, in the middle of a message.
#[tokio::test]
async fn peers_that_vanish_abruptly() {
    watch_for_panics();
    let (config, mut reports) = Reporter::at("/bad/vanish");
    let server = start(only_these([config])).await;
    let address = server.local_addr();
    let mut witness = connect(address, "/bad/vanish").await;
    let first = reports.opened().await;
    let request = upgrade("/bad/vanish", &[]);
    let mut upgraded = 0;
    let mut vanishing = Vec::new();
    for index in 0..200 {
        let mut stream = soon("TCP", TcpStream::connect(address)).await.unwrap();
        let stage = index % 4;
        match stage {
            0 => {}
            1 => stream.write_all(&request.as_bytes()[..50]).await.unwrap(),
            _ => {
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = [0; 1024];
                let count = soon("the answer", stream.read(&mut answer)).await.unwrap();
                assert!(answer[..count].starts_with(b"HTTP/1.1 101"));
                upgraded += 1;
                if stage == 3 {
                    stream.write_all(&text("half a message")[..9]).await.unwrap();
                }
            }
        }
        if index % 3 > 0 {
            stream.set_zero_linger().unwrap();
        }
        vanishing.push(stream);
    }
    drop(vanishing);
    for _ in 0..upgraded {
        let reason = reports.closed().await;
        assert_eq!((reason.code(), reason.closed_by()), (CloseCode::Abnormal, ClosedBy::Network), "{reason}");
    }
    assert_eq!(
        server.sessions().all().iter().map(|session| *session.id()).collect::<Vec<_>>(),
        [*first.id()]
    );
    says_back(&mut witness, "I have seen it all").await;
    drop(witness);
    soon("the shutdown", server.shutdown()).await;
    assert_no_panic();
}

/// The session, as soon as there is one.
async fn only_session(server: &Server) -> Session {
    loop {
        if let Some(session) = server.sessions().all().iter().next() {
            return session;
        }
        tokio::task::yield_now().await;
    }
}

/// Where an end is reported to.
type Ends = UnboundedSender<(SessionId, CloseReason)>;

/// Sends to everyone at its endpoint.
#[server_endpoint("/bad/everyone", send_buffer = 262_144, max_message_size = 65_536)]
struct Everyone;

#[handlers]
impl Everyone {
    #[on_message]
    async fn message(&self, bytes: Bytes, session: &Session) {
        session.siblings().send(bytes).await;
    }

    #[on_close]
    fn close(&self, session: &Session, reason: &CloseReason, ends: Inject<Ends>) {
        // The test may have seen enough.
        let _ = ends.send((*session.id(), reason.clone()));
    }
}

#[tokio::test]
async fn a_peer_that_reads_nothing_holds_up_no_other() {
    const MESSAGES: usize = 400;
    let (ends, mut ended) = unbounded_channel();
    let exporter = only::<Everyone>().provide::<Ends>(ends);
    let server =
        start(exporter.configure(|settings| settings.close_timeout = Duration::from_millis(100))).await;
    // Never read from: what the kernel and the queue do not take is too much.
    let deaf = Raw::upgraded(server.local_addr(), "/bad/everyone").await;
    let slow = only_session(&server).await;
    let mut readers = Vec::new();
    for _ in 0..2 {
        let mut reader = connect(server.local_addr(), "/bad/everyone").await;
        readers.push(tokio::spawn(async move {
            for index in 0..MESSAGES {
                match next(&mut reader).await {
                    Some(Frame::Binary(bytes)) => assert_eq!((bytes.len(), bytes[0]), (65_536, index as u8)),
                    other => panic!("{other:?} instead of message {index}"),
                }
            }
        }));
    }
    let mut sender = connect(server.local_addr(), "/bad/everyone").await;
    while server.sessions().count() < 4 {
        tokio::task::yield_now().await;
    }
    for index in 0..MESSAGES {
        // One's own message comes back before the next is sent: so much do the others get in time.
        soon("sending", sender.send(Frame::binary(vec![index as u8; 65_536]))).await.unwrap();
        assert!(matches!(next(&mut sender).await, Some(Frame::Binary(_))));
    }
    for reader in readers {
        soon("a reader", reader).await.unwrap();
    }
    while let Some((id, reason)) = soon("the end of the slow one", ended.recv()).await {
        if id == *slow.id() {
            assert_eq!(
                (u16::from(reason.code()), reason.text(), reason.closed_by()),
                (1013, "too slow", ClosedBy::Container)
            );
            break;
        }
    }
    drop(deaf);
}

/// A peer that sends and never reads the replies is not read from any more: it fills no memory, and holds up nobody.
#[tokio::test]
async fn a_peer_that_only_talks_meets_backpressure() {
    const FAR_TOO_MUCH: usize = 512 * 1024 * 1024;
    let server = start(only::<Echo>()).await;
    let mut talker = Raw::upgraded(server.local_addr(), "/echo").await;
    let message = binary(&vec![7; 60_000]);
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(1), talker.try_send(&message)).await {
        assert!(written, "it was closed");
        sent += message.len();
        assert!(sent < FAR_TOO_MUCH, "the server takes everything");
    }
    let mut client = connect(server.local_addr(), "/echo").await;
    says_back(&mut client, "beside it").await;
    assert_eq!(
        server.sessions().all().iter().filter(|session| session.queued_bytes() > 1024 * 1024).count(),
        0
    );
    drop(talker);
    drop(client);
    soon("the shutdown", server.shutdown()).await;
}

/// Over the limit is 1009 before the message has come, and what still comes is thrown away.
#[tokio::test]
async fn a_message_without_end() {
    watch_for_panics();
    let server = start(only::<Echo>()).await;
    let mut client = connect(server.local_addr(), "/echo").await;
    let mut raw = Raw::upgraded(server.local_addr(), "/echo").await;
    // 2^62 bytes are announced.
    raw.send([0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]).await;
    assert_eq!(raw.frame().await.unwrap().reason().0, 1009);
    // And fragments that never end.
    let mut raw = Raw::upgraded(server.local_addr(), "/echo").await;
    raw.send(frame(false, 2, &[0; 1000])).await;
    for _ in 0..200 {
        if !raw.try_send(frame(false, 0, &[0; 1000])).await {
            break;
        }
    }
    assert_eq!(raw.frame().await.unwrap().reason().0, 1009);
    says_back(&mut client, "beside them").await;
    client.close(None).await.unwrap();
    closed(client).await;
    assert_no_panic();
}
