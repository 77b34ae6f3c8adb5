//! TLS on the server: sessions over it, and what becomes of who does not get through its handshake.

mod authority;
mod certificates;
mod clients;
mod closing;
mod openssl;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::rustls::{HandshakeKind, ProtocolVersion};
use endpoint_runtime::{self as runtime, Address, ClientTls, Endpoint, Listen, Server, Tls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use self::authority::{Authority, refusal, shake_hands};
use super::support::{Directory, Echo, Raw, Reporter, capture, only, only_these, soon, start, text, upgrade};

/// Says what it knows of its connection.
#[server_endpoint("/tls/facts")]
struct Facts;

#[handlers]
impl Facts {
    #[on_message]
    fn tell(&self, which: &str, handshake: &Handshake, session: &Session) -> String {
        match which {
            "secure" => format!("{} {}", handshake.is_secure(), session.is_secure()),
            "url" => handshake.url().to_string(),
            "addresses" => format!("{:?} {:?}", handshake.peer_addr(), handshake.local_addr()),
            "certificates" => handshake.client_certificates().len().to_string(),
            other => format!("{other}?"),
        }
    }
}

/// Sends what it hears to the test.
struct Ear(UnboundedSender<String>);

impl Endpoint for Ear {
    async fn on_message(&mut self, _: &Session, message: Message) -> Result<()> {
        let _ = self.0.send(message.as_text().unwrap_or("no text").to_owned());
        Ok(())
    }
}

/// A server of [`Echo`], with a certificate of this authority.
async fn serve_echo(authority: &Authority) -> Server {
    start(only::<Echo>().tls(authority.tls())).await
}

/// A WebSocket at this path, over TLS.
async fn open(server: &Server, authority: &Authority, path: &str) -> Raw {
    let stream = shake_hands(server.local_addr(), authority.client()).await.unwrap();
    let mut raw = Raw::over(stream);
    assert_eq!(raw.ask(upgrade(path, &[])).await.status, 101);
    raw
}

async fn says_back(raw: &mut Raw, said: &str) {
    raw.send(text(said)).await;
    assert_eq!(raw.text().await, said);
}

#[tokio::test]
async fn a_session_knows_that_it_is_secure() {
    let authority = Authority::new();
    let server = start(only::<Facts>().tls(authority.tls())).await;
    let (told, mut heard) = unbounded_channel();
    let port = server.local_addr().port();
    let client = runtime::client().tls(ClientTls::roots_pem(authority.pem()));
    let url = format!("wss://localhost:{port}/tls/facts");
    let session = soon("connecting", client.connect(Ear(told), &url)).await.unwrap();
    assert!(session.is_secure());
    let addresses = format!("{:?} {:?}", session.handshake().local_addr(), session.handshake().peer_addr());
    let table = [
        ("secure", "true true"),
        ("url", url.as_str()),
        ("addresses", addresses.as_str()),
        ("certificates", "0"),
    ];
    for (which, fact) in table {
        session.send(which).await.unwrap();
        assert_eq!(soon(which, heard.recv()).await.unwrap(), fact);
    }
}

/// A page of `https://` is of the same origin as a server that speaks TLS, and one of `http://` is not.
#[tokio::test]
async fn the_scheme_is_part_of_the_origin() {
    let authority = Authority::new();
    let server = serve_echo(&authority).await;
    for (origin, status) in [("https://server.example", 101), ("http://server.example", 403)] {
        let stream = shake_hands(server.local_addr(), authority.client()).await.unwrap();
        let answer = Raw::over(stream).ask(upgrade("/echo", &[&format!("Origin: {origin}")])).await;
        assert_eq!(answer.status, status, "{origin}");
    }
}

#[tokio::test]
async fn what_comes_along_with_the_handshake_is_not_lost() {
    let authority = Authority::new();
    let server = serve_echo(&authority).await;
    let stream = shake_hands(server.local_addr(), authority.client()).await.unwrap();
    let mut raw = Raw::over(stream);
    let mut bytes = upgrade("/echo", &[]).into_bytes();
    for number in 0..1000 {
        bytes.extend(text(&format!("early {number}")));
    }
    raw.send(bytes).await;
    assert_eq!(raw.answer().await.unwrap().status, 101);
    for number in 0..1000 {
        assert_eq!(raw.text().await, format!("early {number}"));
    }
}

/// A stream that writes byte by byte.
struct Trickle(TcpStream);

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &buf[..buf.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Each byte in a packet of its own, those of the TLS handshake too.
#[tokio::test]
async fn a_handshake_comes_in_pieces() {
    let authority = Authority::new();
    let server = serve_echo(&authority).await;
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let stream = soon("TLS", authority.client().connect(authority::name(), Trickle(stream))).await.unwrap();
    let mut raw = Raw::over(stream);
    assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
    says_back(&mut raw, "drop by drop").await;
}

/// More than TLS and the socket take at once.
#[tokio::test]
async fn large_messages_go_both_ways() {
    const LARGE: usize = 8 << 20;
    let authority = Authority::new();
    let exporter = only::<Echo>().tls(authority.tls()).configure(|settings| {
        settings.max_message_size = LARGE;
        settings.send_buffer = 2 * LARGE;
    });
    let server = start(exporter).await;
    let mut raw = open(&server, &authority, "/echo").await;
    let payload: Vec<u8> = (0..LARGE).map(|index| (index / 7) as u8).collect();
    raw.send(super::support::binary(&payload)).await;
    assert!(raw.frame().await.unwrap().payload == payload, "damaged on the way");
    says_back(&mut raw, "behind it").await;
}

/// Sends from elsewhere, to sessions that are idle: those over TLS are woken, and get everything in order as the others.
#[tokio::test]
async fn what_others_send_arrives() {
    let authority = Authority::new();
    let (config, mut reports) = Reporter::at("/tls/others");
    let exporter = only_these([config]).tls(authority.tls()).bind(Listen::on("127.0.0.1:0").plain());
    let server = start(exporter).await;
    let [_, Address::Tcp(plain)] = server.addresses() else { panic!("{server:?}") };
    let mut peers = vec![
        open(&server, &authority, "/tls/others").await,
        open(&server, &authority, "/tls/others").await,
        Raw::upgraded(*plain, "/tls/others").await,
    ];
    let mut sessions = Vec::new();
    for _ in &peers {
        sessions.push(reports.opened().await);
    }
    for round in 0..50 {
        server.sessions().all().send(format!("all {round}")).await;
        for session in &sessions {
            drop(session.post(format!("own {round}")));
        }
        let _ = server.sessions().all().post(format!("again {round}"));
        for peer in &mut peers {
            for word in ["all", "own", "again"] {
                assert_eq!(peer.text().await, format!("{word} {round}"));
            }
        }
    }
}

#[tokio::test]
async fn each_listener_speaks_what_is_said_of_it() {
    let (one, other) = (Authority::new(), Authority::new());
    let directory = Directory::new();
    let [plain_socket, tls_socket] = ["plain.sock", "tls.sock"].map(|name| directory.file(name));
    let unix = |path: &std::path::Path| format!("unix:{}", path.display());
    let exporter = only::<Echo>()
        .tls(one.tls())
        .bind(Listen::on("127.0.0.1:0").plain())
        .bind(Listen::on("127.0.0.1:0").tls(other.tls()))
        .bind(unix(&plain_socket))
        .bind(Listen::on(unix(&tls_socket)).tls(other.tls()));
    let server = start(exporter).await;
    let [Address::Tcp(first), Address::Tcp(plain), Address::Tcp(second), ..] = server.addresses() else {
        panic!("{server:?}")
    };
    for (address, authority) in [(first, &one), (second, &other)] {
        let stream = shake_hands(*address, authority.client()).await.unwrap();
        let mut raw = Raw::over(stream);
        assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
        says_back(&mut raw, "over TLS").await;
    }
    assert!(shake_hands(*first, other.client()).await.is_err(), "it is another certificate");
    for mut raw in [Raw::connect(*plain).await, Raw::connect_unix(&plain_socket).await] {
        assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
        says_back(&mut raw, "without").await;
    }
    let stream = tokio::net::UnixStream::connect(&tls_socket).await.unwrap();
    let stream = soon("TLS", other.client().connect(authority::name(), stream)).await.unwrap();
    let mut raw = Raw::over(stream);
    assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
    says_back(&mut raw, "over TLS over a Unix socket").await;
}

#[tokio::test]
async fn the_version_of_http_is_agreed_on() {
    let authority = Authority::new();
    let one = "http/1.1";
    let offers: [(bool, &[&str], Option<&str>); 5] = [
        (true, &[one], Some(one)),
        (true, &[], None),
        (true, &[one, "h2"], Some("h2")),
        (false, &["h2", one], Some(one)),
        (false, &[], None),
    ];
    for (http2, offered, agreed) in offers {
        let exporter = only::<Echo>().tls(authority.tls());
        let server = start(exporter.configure(move |settings| settings.http2 = http2)).await;
        let stream = shake_hands(server.local_addr(), authority.client_of(offered)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes), "{http2} {offered:?}");
        if agreed != Some("h2") {
            let mut raw = Raw::over(stream);
            assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
        }
        let refused = refusal(server.local_addr(), authority.client_of(&["spdy/3"])).await;
        assert!(refused.contains("NoApplicationProtocol"), "{refused}");
    }
}

/// Who comes again goes on where he was: it saves the signature.
#[tokio::test]
async fn a_session_of_tls_is_resumed() {
    let authority = Authority::new();
    let server = serve_echo(&authority).await;
    let client = authority.client();
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let stream = shake_hands(server.local_addr(), client.clone()).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
        let mut raw = Raw::over(stream);
        assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
        // With the answer the client has read the ticket too.
        says_back(&mut raw, "once more").await;
    }
}

#[tokio::test]
async fn a_whole_configuration_is_used_as_it_is() {
    let authority = Authority::new();
    let server = start(only::<Echo>().tls(Tls::config(authority.server_of_tls_1_2()))).await;
    let stream = shake_hands(server.local_addr(), authority.client()).await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
    let mut raw = Raw::over(stream);
    assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
    says_back(&mut raw, "as it is").await;
    server.reload_tls().unwrap();
}

// ---- who does not get through

#[tokio::test]
async fn who_speaks_http_without_tls_is_told() {
    let authority = Authority::new();
    let server = serve_echo(&authority).await;
    for request in [upgrade("/echo", &[]), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()] {
        let mut raw = Raw::connect(server.local_addr()).await;
        let answer = raw.ask(request).await;
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")));
        assert!(answer.body.contains("wss://"), "{answer:?}");
        assert_eq!(raw.ended().await, b"");
    }
}

#[tokio::test]
async fn nonsense_is_closed_without_a_loud_word() {
    let logged = capture();
    let authority = Authority::new();
    let server = serve_echo(&authority).await;
    let nonsense: [&[u8]; 3] = [&[0; 64], &[0xff; 5000], b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00"];
    for bytes in nonsense {
        let mut raw = Raw::connect(server.local_addr()).await;
        // It may be closed before all is written.
        raw.try_send(bytes).await;
        assert_eq!(
            raw.ended().await,
            b"\x15\x03\x03\x00\x02\x02\x32",
            "an alert that it cannot be read: {bytes:?}"
        );
    }
    // Who says nothing and leaves, and who leaves in the middle.
    for bytes in [b"".as_slice(), b"\x16\x03\x01\x02"] {
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.send(bytes).await;
        raw.half_close().await;
        assert_eq!(raw.ended().await, b"");
    }
    let mut raw = open(&server, &authority, "/echo").await;
    says_back(&mut raw, "others are served").await;
    assert_eq!(logged.saying("TLS handshake failed").len(), 5);
    assert_eq!(server.container().counters().tls_errors, 5);
    // The line that the server listens, and nothing else.
    let loud: Vec<_> = logged.loud().into_iter().map(|line| line.message).collect();
    assert!(loud.iter().all(|line| !line.contains("TLS")), "{loud:?}");
}

#[tokio::test]
async fn a_slow_handshake_is_cut_off_while_others_are_served() {
    const LIMIT: Duration = Duration::from_secs(2);
    let authority = Authority::new();
    let exporter =
        only::<Echo>().tls(authority.tls()).configure(|settings| settings.tls_handshake_timeout = LIMIT);
    let server = start(exporter).await;
    let begin = Instant::now();
    let mut silent = Raw::connect(server.local_addr()).await;
    let mut slow = Raw::connect(server.local_addr()).await;
    slow.send(b"\x16\x03\x01\x40\x00\x01").await;
    let slowly = soon("the end", slow.ended_in_spite_of(b"\0", Duration::from_millis(50)));
    let served = async {
        let mut raw = open(&server, &authority, "/echo").await;
        says_back(&mut raw, "hello").await;
        raw
    };
    let (mut raw, (), said) = tokio::join!(served, slowly, silent.ended());
    assert_eq!(said, b"");
    assert!(begin.elapsed() >= LIMIT, "{:?}", begin.elapsed());
    assert_eq!(server.container().counters().tls_errors, 2);
    // The time for the handshake is not the session's.
    says_back(&mut raw, "still there").await;
}

/// A connection counts from when it has come, so that handshakes that are never finished cannot be more than connections may be.
#[tokio::test]
async fn who_is_in_the_handshake_counts_as_a_connection() {
    let authority = Authority::new();
    let exporter = only::<Echo>().tls(authority.tls()).configure(|settings| settings.max_connections = 1);
    let server = start(exporter).await;
    let silent = Raw::connect(server.local_addr()).await;
    let ask = async || {
        let stream = shake_hands(server.local_addr(), authority.client()).await.unwrap();
        Raw::over(stream).ask(upgrade("/echo", &[])).await.status
    };
    assert_eq!(ask().await, 503);
    drop(silent);
    let admitted = async {
        while ask().await != 101 {
            tokio::task::yield_now().await;
        }
    };
    soon("room", admitted).await;
}

#[tokio::test]
async fn a_handshake_under_way_does_not_hold_up_the_end() {
    let authority = Authority::new();
    let exporter = only::<Echo>().tls(authority.tls()).configure(|settings| {
        settings.tls_handshake_timeout = Duration::from_secs(3600);
        settings.drain_timeout = Duration::from_secs(3600);
    });
    let server = start(exporter).await;
    let mut silent = Raw::connect(server.local_addr()).await;
    // The server has seen it: it accepts in order.
    drop(open(&server, &authority, "/echo").await);
    soon("the end of the server", server.shutdown()).await;
    assert_eq!(silent.ended().await, b"");
}

#[test]
fn nothing_of_the_key_is_shown() {
    let authority = Authority::new();
    let (chain, key) = authority.issue_pem("localhost");
    let shown = format!("{:?}", Tls::pem(chain, key.clone()));
    assert_eq!(shown, "Tls { files: [], .. }");
    let shared = Arc::new(Tls::pem_files("a.pem", "a.key"));
    assert_eq!(format!("{shared:?}"), "Tls { files: [\"a.pem\", \"a.key\"], .. }");
}
