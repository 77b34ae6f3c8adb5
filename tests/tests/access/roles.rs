//! Roles: which endpoints and methods are for whom.

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use endpoint_runtime::{Forbidden, Identity, ServerEndpointConfig};
use tower_layer::layer_fn;

use crate::support::{ByName, User, app, authorization, principal, token, tokens};

#[server_endpoint("/board", require = ["reader", "writer"])]
struct Board;

#[handlers]
impl Board {
    #[on_open]
    fn open(&self, session: &Session) -> String {
        let roles: Vec<_> = ["reader", "writer"].into_iter().filter(|role| session.has_role(role)).collect();
        roles.join(" ")
    }
}

#[server_endpoint("/admin", require = "admin")]
struct Admin;

#[handlers]
impl Admin {
    #[on_open]
    fn open(&self, handshake: &Handshake) -> bool {
        handshake.has_role("admin") && !handshake.has_role("Admin")
    }
}

struct Programmatic;

impl Endpoint for Programmatic {}

/// Who only inserts a principal says nothing of roles.
struct Plain;

impl Configurator for Plain {
    async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        handshake.extensions_mut().insert(Principal::new(User("bo".to_owned())).role("admin"));
        Ok(())
    }
}

/// A role may be known without any type of the application's.
struct Untyped;

impl Configurator for Untyped {
    async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        handshake.extensions_mut().insert(Identity::new("bo").role("admin"));
        Ok(())
    }
}

fn programmatic(path: &str, configurator: impl Configurator) -> ServerEndpointConfig {
    ServerEndpointConfig::builder(path, || Programmatic).require(["admin"]).configurator(configurator).build()
}

/// A stranger is told to say who it is, anybody else that it is not for him, before there is a socket.
#[tokio::test(start_paused = true)]
async fn an_endpoint_is_for_those_in_one_of_its_roles() {
    let app = runtime::test::app()
        .with(|exporter| {
            let ours = |config: &ServerEndpointConfig| {
                config.is::<Board>() || config.is::<Admin>() || config.is::<Programmatic>()
            };
            let exporter = exporter.bearer(tokens()).layer(layer_fn(ByName)).only(ours);
            let exporter = exporter.endpoint(programmatic("/plain", Plain));
            exporter.endpoint(programmatic("/untyped", Untyped))
        })
        .start()
        .await;
    let table = [
        ("/board", None, 401),
        ("/board", Some("bo"), 403),
        ("/board", Some("bo.admin"), 403),
        ("/board", Some("bo.reader"), 101),
        ("/board", Some("bo.editor.writer"), 101),
        ("/admin", None, 401),
        ("/admin", Some("bo.reader"), 403),
        ("/admin", Some("bo.admin"), 101),
        ("/plain", None, 401),
        ("/untyped", None, 101),
    ];
    let mut admitted = Vec::new();
    for (path, who, status) in table {
        for header in ["authorization", "x-name"] {
            let connect = app.connect(path);
            let connect = match (who, header) {
                (Some(who), "x-name") => connect.header(header, who),
                (Some(who), _) => connect.header(header, &authorization(who)),
                (None, _) => connect,
            };
            let answered = match connect.await {
                Ok(peer) => {
                    admitted.push(peer);
                    101
                }
                Err(refused) => refused.status(),
            };
            assert_eq!(app.sessions().count(), admitted.len(), "{path} {who:?}");
            assert_eq!(answered, status, "{path} {who:?} by {header}");
        }
    }
    let mut admin = app.connect("/admin").header("x-name", "bo.admin").await.unwrap();
    assert_eq!(admin.text().await, "true");
    let mut writer = app.connect("/board").header("x-name", "bo.writer").await.unwrap();
    assert_eq!(writer.text().await, "writer");
}

#[tokio::test]
async fn a_role_without_a_name_is_a_problem() {
    let config = ServerEndpointConfig::builder("/nobody", || Programmatic).require([""]).build();
    let exporter = runtime::export_all().only(ServerEndpointConfig::is::<Programmatic>).endpoint(config);
    let report = exporter.check();
    let problems: Vec<_> = report.problems().iter().map(ToString::to_string).collect();
    assert!(
        matches!(&problems[..], [one] if one.contains("`require` names a role without a name")),
        "{problems:?}"
    );
    assert_eq!(ServerEndpointConfig::of::<Board>().required_roles(), ["reader", "writer"]);
}

/// What the endpoint requires is asked of each new token too.
#[server_endpoint("/members", require = "member")]
struct Members;

#[handlers]
impl Members {
    #[on_message]
    async fn token(&self, token: String, session: &Session, config: &EndpointConfig) -> Result<String> {
        session.authorize(&token).await?;
        Ok(format!("{:?} {}", config.required_roles(), session.has_role("admin")))
    }

    #[on_error]
    fn forbidden(&self, error: &Forbidden) -> String {
        error.to_string()
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_token_is_in_the_roles_too() {
    let app = app::<Members>().start().await;
    let mut peer =
        app.connect("/members").header("authorization", &authorization("bo.member")).await.unwrap();
    for (token, answer) in
        [(token("bo"), "this is not for you"), (token("bo.member.admin"), r#"["member"] true"#)]
    {
        peer.send(token).await.unwrap();
        assert_eq!(peer.text().await, answer);
    }
}

/// Some of it is for everybody, some for those in a role, in each form that a method may have.
#[server_endpoint("/forms")]
struct Forms {
    calls: usize,
}

#[handlers]
impl Forms {
    #[on_message]
    async fn text(&mut self, text: String, session: &Session) -> Result<String> {
        match text.as_str() {
            "calls" => Ok(self.calls.to_string()),
            token => {
                session.authorize(token).await?;
                Ok("authorized".to_owned())
            }
        }
    }

    #[on_message(require = ["writer", "admin"])]
    fn bytes(&mut self, bytes: Bytes) -> usize {
        self.calls += 1;
        bytes.len()
    }

    #[on_message(require = "admin")]
    async fn pong(&mut self, _pong: Pong) -> &'static str {
        self.calls += 1;
        "pong"
    }

    #[on_error]
    fn forbidden(&self, error: &Forbidden) -> String {
        format!("{:?} {error}", error.roles())
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_is_for_those_in_one_of_its_roles() {
    let app = app::<Forms>().start().await;
    let mut peer = app.connect("/forms").await.unwrap();
    let refused = r#"["writer", "admin"] this takes one of the roles `writer`, `admin`"#;
    peer.send(&b"1"[..]).await.unwrap();
    assert_eq!(peer.text().await, refused);
    peer.pong(&b""[..]).await.unwrap();
    assert_eq!(peer.text().await, r#"["admin"] this takes the role `admin`"#);
    peer.send("calls").await.unwrap();
    assert_eq!(peer.text().await, "0", "and the session is still open");

    // What counts is who the peer is when the message comes.
    peer.send(token("bo.writer")).await.unwrap();
    assert_eq!(peer.text().await, "authorized");
    peer.send(&b"12"[..]).await.unwrap();
    assert_eq!(peer.text().await, "2");
    peer.pong(&b""[..]).await.unwrap();
    assert_eq!(peer.text().await, r#"["admin"] this takes the role `admin`"#);
    peer.send(token("bo.admin")).await.unwrap();
    assert_eq!(peer.text().await, "authorized");
    peer.pong(&b""[..]).await.unwrap();
    assert_eq!(peer.text().await, "pong");
    // And roles may be lost.
    peer.send(token("bo")).await.unwrap();
    assert_eq!(peer.text().await, "authorized");
    peer.send(&b"1"[..]).await.unwrap();
    assert_eq!(peer.text().await, refused);
    peer.send("calls").await.unwrap();
    assert_eq!(peer.text().await, "2");
}

/// Parts and streams of who may not send them go nowhere.
#[server_endpoint("/streams")]
struct Streams;

#[handlers]
impl Streams {
    #[on_message(require = "writer")]
    async fn stream(&mut self, mut reader: BinaryReader) -> Result<u64> {
        Ok(tokio::io::copy(&mut reader, &mut tokio::io::sink()).await?)
    }

    #[on_message(require = "writer")]
    fn part(&mut self, part: Fragment<Text>) -> usize {
        part.data.len()
    }

    #[on_error]
    fn any(&self, error: &Error) -> String {
        matches!(error, Error::Forbidden(_)).to_string()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_forbidden_is_forbidden_in_every_form() {
    let app = app::<Streams>().start().await;
    for (who, expected) in [("bo", ["true", "true"]), ("bo.writer", ["100000", "3"])] {
        let mut peer = app.connect("/streams").header("authorization", &authorization(who)).await.unwrap();
        for _ in 0..2 {
            peer.send(vec![0; 100_000]).await.unwrap();
            assert_eq!(peer.text().await, expected[0], "{who}");
            peer.send("abc").await.unwrap();
            assert_eq!(peer.text().await, expected[1], "{who}");
        }
    }
}

/// Without `#[on_error]` it is logged, and the session goes on.
#[server_endpoint("/silent")]
struct Silent;

#[handlers]
impl Silent {
    #[on_message(require = "admin")]
    fn text(&self, text: String) -> String {
        text
    }

    #[on_message]
    fn bytes(&self, bytes: Bytes) -> Bytes {
        bytes
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_need_care_about_what_is_forbidden() {
    let app = app::<Silent>().start().await;
    let mut peer = app.connect("/silent").await.unwrap();
    peer.send("x").await.unwrap();
    peer.send(&b"y"[..]).await.unwrap();
    assert_eq!(peer.binary().await, &b"y"[..]);
}

#[test]
fn a_principal_has_an_identity() {
    let bo = principal(&token("bo.admin.editor")).unwrap();
    assert_eq!(bo.identity(), &Identity::new("bo").role("admin").role("editor"));
    let renamed = bo.clone().identified(Identity::new("ann"));
    assert_eq!((renamed.identity().name(), renamed.identity().has_role("admin")), (Some("ann"), false));
    assert_eq!(*renamed, User("bo".to_owned()));
    assert_eq!(bo.identity().roles().collect::<Vec<_>>(), ["admin", "editor"]);
}
