//! What handlers learn from the opening handshake (Jakarta HS-01 to HS-09, SES-24 to SES-27), over TCP and over a Unix socket.

use std::net::IpAddr;

use endpoint_runtime::Endpoint;
use endpoint_runtime::ServerEndpointConfig;
use endpoint_runtime::prelude::*;

use super::support::{Directory, Raw, only, only_these, start, text, upgrade};

/// Answers with the fact that is asked for.
#[server_endpoint("/facts/{room}/{seat}")]
struct Facts;

#[handlers]
impl Facts {
    #[on_message]
    fn tell(&self, which: String, handshake: &Handshake, session: &Session) -> String {
        let (which, name) = which.split_once(' ').unwrap_or((&which, ""));
        match which {
            "url" => handshake.url().to_string(),
            "uri" => session.uri().to_string(),
            "path" => handshake.path().to_owned(),
            "query" => format!("{:?}", handshake.query()),
            "host" => format!("{:?}", handshake.host()),
            "header" => format!("{:?}", handshake.header(name)),
            "headers" => format!("{:?}", handshake.headers().get_all(name).iter().collect::<Vec<_>>()),
            "parameters" => format!("{:?}", handshake.parameters()),
            "parameter" => format!("{:?}", handshake.parameters().get(name)),
            "cookie" => format!("{:?}", handshake.cookie(name)),
            "locales" => format!("{:?}", handshake.locales()),
            "offered" => format!("{:?}", handshake.offered_subprotocols().collect::<Vec<_>>()),
            "extensions" => {
                let offered = handshake.offered_extensions().unwrap();
                offered.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
            }
            "principal" => format!("{:?}", handshake.principal::<String>()),
            "secure" => format!("{} {}", handshake.is_secure(), session.is_secure()),
            "version" => session.protocol_version().to_owned(),
            "agreed" => format!("{:?} {:?}", session.subprotocol(), session.extensions()),
            _ => panic!("{which}"),
        }
    }
}

const LINES: &[&str] = &[
    "X-Custom: first",
    "x-CUSTOM: second",
    "Cookie: session=\"a b\"; theme=dark",
    "Cookie: late=1",
    "Accept-Language: en;q=0.7, de-AT, *;q=0.1, eo;q=0.9",
    "Sec-WebSocket-Protocol: b, a",
    "Sec-WebSocket-Extensions: x-one; a=\"1;2\", x-two",
];

#[tokio::test]
async fn the_facts_of_a_handshake() {
    let server = start(only::<Facts>()).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let path = "/facts/blue%20sky/7?room=red&lang=en&room=x+y&flag";
    assert_eq!(raw.ask(upgrade(path, LINES)).await.status, 101);
    let table = [
        ("url", "ws://server.example/facts/blue%20sky/7?room=red&lang=en&room=x+y&flag"),
        ("uri", path),
        ("path", "/facts/blue%20sky/7"),
        ("query", "Some(\"room=red&lang=en&room=x+y&flag\")"),
        ("host", "Some(\"server.example\")"),
        ("header x-custom", "Some(\"first\")"),
        ("header X-Custom", "Some(\"first\")"),
        ("header x-missing", "None"),
        ("headers X-CUSTOM", "[\"first\", \"second\"]"),
        (
            "parameters",
            "{\"flag\": [\"\"], \"lang\": [\"en\"], \"room\": [\"blue sky\", \"red\", \"x y\"], \"seat\": [\"7\"]}",
        ),
        ("parameter room", "Some([\"blue sky\", \"red\", \"x y\"])"),
        ("parameter none", "None"),
        ("cookie session", "Some(\"a b\")"),
        ("cookie late", "Some(\"1\")"),
        ("cookie none", "None"),
        ("locales", "[\"de-AT\", \"eo\", \"en\"]"),
        ("offered", "[\"b\", \"a\"]"),
        ("extensions", "x-one; a=\"1;2\" | x-two"),
        ("principal", "None"),
        ("secure", "false false"),
        ("version", "13"),
        ("agreed", "None []"),
    ];
    for (question, answer) in table {
        raw.send(text(question)).await;
        assert_eq!(raw.text().await, answer, "{question}");
    }
}

/// A request that names the host in its first line means that one, whatever the header says.
#[tokio::test]
async fn the_host_of_the_first_line_counts() {
    let server = start(only::<Facts>()).await;
    let mut raw = Raw::connect(server.local_addr()).await;
    let request = upgrade("http://other.example:81/facts/a/b?x", &[]);
    assert_eq!(raw.ask(request).await.status, 101);
    for (question, answer) in [
        ("host", "Some(\"other.example:81\")"),
        ("url", "ws://other.example:81/facts/a/b?x"),
        ("path", "/facts/a/b"),
    ] {
        raw.send(text(question)).await;
        assert_eq!(raw.text().await, answer, "{question}");
    }
}

/// Says the two addresses of its connection.
struct Ends;

impl Endpoint for Ends {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let handshake = session.handshake();
        let addresses = [handshake.peer_addr(), handshake.local_addr()];
        let ports = addresses.map(|address| address.map(|address| (address.ip(), address.port())));
        Ok(session.send(format!("{ports:?}")).await?)
    }
}

#[tokio::test]
async fn both_ends_of_the_connection_are_known_where_they_have_addresses() {
    let directory = Directory::new();
    let socket = directory.path().join("facts.sock");
    let config = ServerEndpointConfig::builder("/ends", || Ends).build();
    let server = start(only_these([config]).bind(format!("unix:{}", socket.display()))).await;

    let stream = tokio::net::TcpStream::connect(server.local_addr()).await.unwrap();
    let (here, there) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    let ip = |address: std::net::SocketAddr| -> (IpAddr, u16) { (address.ip(), address.port()) };
    let mut raw = Raw::over(stream);
    assert_eq!(raw.ask(upgrade("/ends", &[])).await.status, 101);
    assert_eq!(raw.text().await, format!("{:?}", [Some(ip(here)), Some(ip(there))]));

    let mut raw = Raw::connect_unix(&socket).await;
    assert_eq!(raw.ask(upgrade("/ends", &[])).await.status, 101);
    assert_eq!(raw.text().await, "[None, None]");
}
