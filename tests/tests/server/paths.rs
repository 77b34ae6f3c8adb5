//! Paths end to end: which endpoint a request reaches, and what its variables hold.

use std::net::SocketAddr;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{Endpoint, Server, ServerEndpointConfig};

use super::support::{Raw, only_these, start, upgrade};

/// Tells which template was met, and by what.
struct Where(&'static str);

impl Endpoint for Where {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let mut said = self.0.to_owned();
        for (name, value) in session.handshake().path_params().iter() {
            said.push_str(&format!(" {name}={value}"));
        }
        Ok(session.send(said).await?)
    }
}

async fn serve(templates: &[&'static str]) -> Server {
    let configs =
        templates.iter().map(|&path| ServerEndpointConfig::builder(path, move || Where(path)).build());
    start(only_these(configs)).await
}

/// What the endpoint says that this path reaches; `None`: there is none.
async fn reached(address: SocketAddr, path: &str) -> Option<String> {
    let mut raw = Raw::connect(address).await;
    let answer = raw.ask(upgrade(path, &[])).await;
    match answer.status {
        101 => Some(raw.text().await),
        404 => None,
        status => panic!("{path}: {status} {}", answer.body),
    }
}

async fn check(templates: &[&'static str], table: &[(&str, Option<&str>)]) {
    let server = serve(templates).await;
    for (path, said) in table {
        assert_eq!(reached(server.local_addr(), path).await.as_deref(), *said, "{path} among {templates:?}");
    }
    server.shutdown().await;
}

/// The examples of Jakarta WebSocket 3.1.1.
#[tokio::test]
async fn the_examples_of_the_specification() {
    check(&["/a/b/"], &[("/a/b/", Some("/a/b/")), ("/a/b", None), ("/a", None), ("/a/b/c", None)]).await;
    let one = "/a/{var}";
    let table = [
        ("/a/b", Some("/a/{var} var=b")),
        ("/a/apple", Some("/a/{var} var=apple")),
        ("/a", None),
        ("/a/", None),
        ("/a/b/", None),
        ("/a/b/c", None),
    ];
    check(&[one], &table).await;
    let table = [
        ("/a/b/c", Some("/a/b/c")),
        ("/a/d/c", Some("/a/{var}/c var=d")),
        ("/a/x/y", Some("/a/{v1}/{v2} v1=x v2=y")),
    ];
    check(&["/a/{var}/c", "/a/b/c", "/a/{v1}/{v2}"], &table).await;
    let table = [("/b/d", Some("/b/{v2} v2=d")), ("/c/d", Some("/{v1}/d v1=c")), ("/c/e", None)];
    check(&["/{v1}/d", "/b/{v2}"], &table).await;
}

/// As the TCK deploys them: one, two and three segments, with variables everywhere.
#[tokio::test]
async fn the_most_literal_from_left_to_right_wins() {
    let templates = [
        "/a",
        "/{a}",
        "/c/{d}",
        "/c/d",
        "/{c}/d",
        "/{c}/{d}",
        "/e/f/g",
        "/e/f/{g}",
        "/e/{f}/g",
        "/e/{f}/{g}",
        "/{e}/f/g",
        "/{e}/f/{g}",
        "/{e}/{f}/g",
        "/{e}/{f}/{g}",
    ];
    let table = [
        ("/a", Some("/a")),
        ("/b", Some("/{a} a=b")),
        ("/c/d", Some("/c/d")),
        ("/c/x", Some("/c/{d} d=x")),
        ("/x/d", Some("/{c}/d c=x")),
        ("/x/y", Some("/{c}/{d} c=x d=y")),
        ("/e/f/g", Some("/e/f/g")),
        ("/e/f/x", Some("/e/f/{g} g=x")),
        ("/e/x/g", Some("/e/{f}/g f=x")),
        ("/e/x/y", Some("/e/{f}/{g} f=x g=y")),
        ("/x/f/g", Some("/{e}/f/g e=x")),
        ("/x/f/y", Some("/{e}/f/{g} e=x g=y")),
        ("/x/y/g", Some("/{e}/{f}/g e=x f=y")),
        ("/x/y/z", Some("/{e}/{f}/{g} e=x f=y g=z")),
        ("/a/c/d/e", None),
    ];
    check(&templates, &table).await;
}

/// A way that is more literal at first and leads nowhere hides no other.
#[tokio::test]
async fn matching_turns_back() {
    let table = [("/a/b/d", Some("/{y}/b/d y=a")), ("/a/b/c", Some("/a/{x}/c x=b"))];
    check(&["/a/{x}/c", "/{y}/b/d"], &table).await;
}

#[tokio::test]
async fn the_rest_takes_all_segments_that_are_left() {
    let table = [
        ("/files/list", Some("/files/list")),
        ("/files/a", Some("/files/{name} name=a")),
        ("/files/a/b/c", Some("/files/{*rest} rest=a/b/c")),
        ("/files/a/", Some("/files/{*rest} rest=a/")),
        ("/files/a%2Fb/c%20d", Some("/files/{*rest} rest=a/b/c d")),
        ("/files/", None),
        ("/files", None),
        ("/files//a", None),
    ];
    check(&["/files/{*rest}", "/files/{name}", "/files/list"], &table).await;
}

#[tokio::test]
async fn paths_are_split_raw_and_decoded_by_segment() {
    let table = [
        ("/r/a%2Fb", Some("/r/{room} room=a/b")),
        ("/r/a%2fb/c", None),
        ("/r/caf%C3%A9", Some("/r/{room} room=café")),
        ("/r/a+b", Some("/r/{room} room=a+b")),
        ("/r/%2e%2e", Some("/r/{room} room=..")),
        ("/r/..", Some("/r/{room} room=..")),
        ("/r/100%25", Some("/r/{room} room=100%")),
        ("/r/x?room=y", Some("/r/{room} room=x")),
        ("/%72/x", Some("/r/{room} room=x")),
        ("/caf%c3%a9", Some("/café")),
        ("/R/x", None),
        ("/r/x/", None),
        ("//r/x", None),
    ];
    check(&["/r/{room}", "/café"], &table).await;
}

#[tokio::test]
async fn a_trailing_slash_and_the_case_are_significant() {
    let table = [
        ("/x", Some("/x")),
        ("/x/", Some("/x/")),
        ("/X", Some("/X")),
        ("/x/?a=b", Some("/x/")),
        ("/x//", None),
        ("/", Some("/")),
    ];
    check(&["/x", "/x/", "/X", "/"], &table).await;
}

/// The template's `#[path]` argument, in each of the calls.
#[server_endpoint("/rooms/{room}/{*rest}")]
struct Typed {
    opened: String,
}

#[handlers]
impl Typed {
    #[on_open]
    fn open(&mut self, #[path] room: u8, #[path("rest")] way: String) {
        self.opened = format!("{room} {way}");
    }

    #[on_message]
    fn message(&self, _: String, #[path] room: Option<u8>, #[path] rest: String) -> String {
        format!("{} / {room:?} {rest}", self.opened)
    }
}

#[tokio::test]
async fn variables_become_typed_arguments() {
    let server = start(super::support::only::<Typed>()).await;
    let mut raw = Raw::upgraded(server.local_addr(), "/rooms/%34/a/b%2Fc").await;
    raw.send(super::support::text("?")).await;
    assert_eq!(raw.text().await, "4 a/b/c / Some(4) a/b/c");
}
