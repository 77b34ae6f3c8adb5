//! Tokens: where they are found, what is answered, and that nothing is left of them.

use std::fmt::Write;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use endpoint_runtime as runtime;
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::Refused;
use endpoint_runtime::{BearerTokens, TokenVerifier};
use http::{HeaderValue, StatusCode, header};
use tower_layer::layer_fn;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::support::{ByName, Knows, SECRET, User, app, authorization, token, tokens};

/// Says who its peer is, and all that it can find out about how it knows.
#[server_endpoint("/who", subprotocols = ["v2", "v1"])]
struct Who;

#[handlers]
impl Who {
    #[on_open]
    fn open(&self, who: Option<Principal<User>>, session: &Session, handshake: &Handshake) -> String {
        let found = format!(
            "{session:?} {handshake:?} {who:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            session.identity(),
            handshake.uri(),
            handshake.url(),
            handshake.headers(),
            handshake.cookies().collect::<Vec<_>>(),
            handshake.offered_subprotocols().collect::<Vec<_>>(),
            handshake.parameters(),
        );
        assert!(!found.contains(SECRET), "{found}");
        assert!(!found.contains("Bearer"), "{found}");
        who.map_or_else(|| "stranger".to_owned(), |who| who.0.clone())
    }
}

/// Is for those who are known, and has a parameter that a stranger need not know of.
#[server_endpoint("/vault")]
struct Vault;

#[handlers]
impl Vault {
    #[on_open]
    fn open(&self, who: Principal<User>, #[query] door: Option<u8>) -> String {
        format!("{} {door:?}", who.0)
    }
}

#[server_endpoint("/strict", subprotocols = ["v1"], require_subprotocol = true)]
struct Strict;

#[handlers]
impl Strict {
    #[on_open]
    fn open(&self, session: &Session) -> String {
        session.subprotocol().unwrap_or_default().to_owned()
    }
}

fn challenge(refused: &Refused) -> Option<&str> {
    refused.headers().get("www-authenticate").map(|value| value.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_token_is_found_in_each_of_its_places() {
    let everywhere = tokens().cookie("session").query("access_token");
    let app = runtime::test::app().only::<Who>().with(|exporter| exporter.bearer(everywhere)).start().await;
    let (bo, ann) = (token("bo"), token("ann"));
    let table = [
        ("/who".to_owned(), vec![("authorization", format!("Bearer {bo}"))], "bo"),
        ("/who".to_owned(), vec![("sec-websocket-protocol", format!("bearer, {bo}"))], "bo"),
        ("/who".to_owned(), vec![("sec-websocket-protocol", format!("v1, bearer, {bo}, v2"))], "bo"),
        ("/who".to_owned(), vec![("cookie", format!("a=1; session={bo}; b=2"))], "bo"),
        (format!("/who?a=1&access_token={bo}"), vec![], "bo"),
        // The first place counts, and the others are emptied too.
        (
            format!("/who?access_token={ann}"),
            vec![("cookie", format!("session={ann}")), ("authorization", format!("bearer {bo}"))],
            "bo",
        ),
        ("/who".to_owned(), vec![], "stranger"),
        (
            "/who?a=1".to_owned(),
            vec![("cookie", "a=1".to_owned()), ("authorization", "Basic eDp5".to_owned())],
            "stranger",
        ),
    ];
    for (path, headers, who) in table {
        let connect =
            headers.iter().fold(app.connect(&path), |connect, (name, value)| connect.header(name, value));
        assert_eq!(connect.await.unwrap().text().await, who, "{path} {headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn cookies_and_the_query_are_looked_at_only_when_asked_for() {
    let app = app::<Vault>().start().await;
    let bo = token("bo");
    let cookie = app.connect("/vault").header("cookie", &format!("session={bo}; access_token={bo}")).await;
    let query = app.connect(&format!("/vault?access_token={bo}&session={bo}")).await;
    assert_eq!([cookie, query].map(|result| result.unwrap_err().status()), [401, 401]);
}

/// A browser takes no answer that chooses none of what it offered; the token is never it.
#[tokio::test(start_paused = true)]
async fn the_token_is_never_the_subprotocol() {
    let app = runtime::test::app().with(|exporter| {
        let ours = |config: &ServerEndpointConfig| config.is::<Who>() || config.is::<Strict>();
        exporter.bearer(tokens()).only(ours)
    });
    let app = app.start().await;
    let bo = token("bo");
    type Row<'r> = (&'r str, &'r [&'r str], Result<Option<&'r str>, u16>);
    let table: &[Row<'_>] = &[
        ("/who", &["bearer", &bo], Ok(Some("bearer"))),
        ("/who", &["bearer", &bo, "v1", "v2"], Ok(Some("v1"))),
        ("/who", &["v2", "bearer", &bo], Ok(Some("v2"))),
        ("/who", &["v3", "bearer", &bo], Ok(Some("bearer"))),
        ("/who", &["bearer"], Ok(None)),
        ("/who", &["bearer", "v1"], Err(401)),
        ("/who", &["v1"], Ok(Some("v1"))),
        ("/strict", &["bearer", &bo], Err(400)),
        ("/strict", &["bearer", &bo, "v1"], Ok(Some("v1"))),
    ];
    for (path, offered, expected) in table {
        match (app.connect(path).subprotocols(offered).await, expected) {
            (Ok(peer), Ok(agreed)) => assert_eq!(peer.subprotocol(), *agreed, "{path} {offered:?}"),
            // The client that stands behind the peer is as strict as browsers are.
            (Err(refused), Ok(None)) => assert!(refused.reason().contains("SubProtocol"), "{refused}"),
            (Err(refused), Err(status)) => assert_eq!(refused.status(), *status, "{path} {offered:?}"),
            (result, _) => panic!("{path} {offered:?}: {result:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_known_is_told_how_to_say_it() {
    let both = |config: &ServerEndpointConfig| config.is::<Who>() || config.is::<Vault>();
    let app = runtime::test::app().with(|exporter| exporter.bearer(tokens()).only(both)).start().await;
    let invalid = Some("Bearer error=\"invalid_token\"");
    let table = [
        ("no token", "/vault", None, "who are you?", Some("Bearer")),
        // Nothing is said of parameters to who may not come in.
        ("no token, and a bad door", "/vault?door=x", None, "who are you?", Some("Bearer")),
        ("another scheme", "/vault", Some("Basic eDp5"), "who are you?", Some("Bearer")),
        ("a bad token", "/vault", Some("Bearer x"), "this token is not valid", invalid),
        ("a bad token where none is needed", "/who", Some("Bearer x"), "this token is not valid", invalid),
        ("an empty token", "/who", Some("Bearer "), "the token is empty", invalid),
        (
            "an expired token",
            "/who",
            Some("Bearer s3cr3t.bo.0"),
            "your authorization has expired",
            Some("Bearer"),
        ),
    ];
    for (name, path, authorization, reason, challenged) in table {
        let connect = app.connect(path);
        let connect = match authorization {
            Some(value) => connect.header("authorization", value),
            None => connect,
        };
        let refused = connect.await.unwrap_err();
        assert_eq!(
            (refused.status(), refused.reason(), challenge(&refused)),
            (401, reason, challenged),
            "{name}"
        );
        assert_eq!(app.sessions().count(), 0, "{name}");
    }
    let known = app.connect("/vault?door=x").header("authorization", &authorization("bo")).await.unwrap_err();
    assert_eq!(known.status(), 400);
}

#[tokio::test(start_paused = true)]
async fn who_verifies_refuses_as_he_likes() {
    let verifier = |token: String| async move {
        Err::<Principal<User>, _>(match token.as_str() {
            "own" => Refusal::unauthorized("sign in")
                .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"chat\"")),
            "banned" => Refusal::forbidden("not you"),
            "slow" => pending().await,
            "panic" => panic!("as asked"),
            _ => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "ask later"),
        })
    };
    let tokens = BearerTokens::new(verifier);
    let app = runtime::test::app().only::<Who>().with(|exporter| exporter.bearer(tokens)).start().await;
    let table = [
        ("own", 401, Some("Bearer realm=\"chat\"")),
        ("banned", 403, None),
        ("later", 503, None),
        // Within `handshake_timeout`.
        ("slow", 503, None),
        ("panic", 500, None),
    ];
    for (token, status, challenged) in table {
        let refused =
            app.connect("/who").header("authorization", &format!("Bearer {token}")).await.unwrap_err();
        assert_eq!((refused.status(), challenge(&refused)), (status, challenged), "{token}");
    }
    assert_eq!(app.sessions().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_page_learns_nothing_about_its_visitors_token() {
    let knows = Knows::default();
    let tokens = BearerTokens::new(knows.clone()).cookie("session");
    let app = runtime::test::app().only::<Who>().with(|exporter| exporter.bearer(tokens)).start().await;
    for of in ["bo", "bo.0"] {
        let cookie = format!("session={}", token(of));
        let refused =
            app.connect("/who").origin("http://evil.example").header("cookie", &cookie).await.unwrap_err();
        assert_eq!((refused.status(), challenge(&refused)), (403, None));
    }
    assert_eq!(knows.asked(), 0);
    let cookie = format!("session={}", token("bo"));
    let mut peer = app.connect("/who").origin("http://test").header("cookie", &cookie).await.unwrap();
    assert_eq!((peer.text().await.as_str(), knows.asked()), ("bo", 1));
}

#[tokio::test(start_paused = true)]
async fn required_tokens_turn_every_stranger_away() {
    let required = tokens().required();
    let app = runtime::test::app()
        .only::<Who>()
        .with(|exporter| exporter.bearer(required).layer(layer_fn(ByName)))
        .start()
        .await;
    let refused = app.connect("/who").await.unwrap_err();
    assert_eq!((refused.status(), challenge(&refused)), (401, Some("Bearer")));
    let table = [("authorization", authorization("bo"), "bo"), ("x-name", "ann".to_owned(), "ann")];
    for (name, value, who) in table {
        assert_eq!(app.connect("/who").header(name, &value).await.unwrap().text().await, who);
    }
    // Who brings a token is who that says.
    let both = app.connect("/who").header("x-name", "ann").header("authorization", &authorization("bo"));
    assert_eq!(both.await.unwrap().text().await, "bo");
}

struct Programmatic;

impl Endpoint for Programmatic {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let name = session.identity().and_then(|identity| identity.name().map(str::to_owned));
        Ok(session.send(name.unwrap_or_else(|| "stranger".to_owned())).await?)
    }

    async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
        session.authorize(message.as_text().unwrap_or_default()).await?;
        self.on_open(session).await
    }
}

/// Has tokens of its own, and looks at who has them.
struct Doorkeeper(BearerTokens);

impl Configurator for Doorkeeper {
    async fn check(
        &self,
        handshake: &mut Handshake,
        application: &ApplicationContext,
    ) -> Result<(), Refusal> {
        self.0.authenticate(handshake, application).await?;
        match handshake.principal::<User>() {
            Some(user) if user.0 == "mallory" => Err(Refusal::forbidden("not you")),
            _ => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_has_tokens_of_its_own() {
    let configs = [
        ServerEndpointConfig::builder("/own", || Programmatic).configurator(tokens().query("t")).build(),
        ServerEndpointConfig::builder("/more", || Programmatic)
            .configurator(Doorkeeper(tokens().required()))
            .build(),
        ServerEndpointConfig::builder("/none", || Programmatic).build(),
    ];
    let app = runtime::test::app().with(|exporter| {
        let exporter = exporter.only(ServerEndpointConfig::is::<Programmatic>);
        configs.into_iter().fold(exporter, runtime::ServerEndpointExporter::endpoint)
    });
    let app = app.start().await;
    let bo = authorization("bo");
    let mut own = app.connect(&format!("/own?t={}", token("bo"))).await.unwrap();
    assert_eq!(own.text().await, "bo");
    let mut own = app.connect("/own").await.unwrap();
    assert_eq!(own.text().await, "stranger");
    // And the session finds those who know its tokens.
    own.send(token("bo")).await.unwrap();
    assert_eq!(own.text().await, "bo");
    let more = app.connect("/more").await.unwrap_err();
    assert_eq!((more.status(), challenge(&more)), (401, Some("Bearer")));
    let mallory = app.connect("/more").header("authorization", &authorization("mallory")).await.unwrap_err();
    assert_eq!(mallory.status(), 403);
    let mut more = app.connect("/more").subprotocols(&["bearer", &token("bo")]).await.unwrap();
    assert_eq!((more.text().await.as_str(), more.subprotocol()), ("bo", Some("bearer")));
    let mut none = app.connect("/none").header("authorization", &bo).await.unwrap();
    assert_eq!(none.text().await, "stranger");
}

/// They are in force in the place of the application's, who do not know them.
#[tokio::test(start_paused = true)]
async fn tokens_of_an_endpoints_own_go_before_the_applications() {
    let nobody = |_: String| async { Err::<Principal<User>, _>(Refusal::unauthorized("nobody is known")) };
    let own = ServerEndpointConfig::builder("/own", || Programmatic).configurator(tokens()).build();
    let others = ServerEndpointConfig::builder("/others", || Programmatic).build();
    let app = runtime::test::app().with(|exporter| {
        let exporter = exporter.only(ServerEndpointConfig::is::<Programmatic>);
        exporter.endpoint(own).endpoint(others).bearer(BearerTokens::new(nobody))
    });
    let app = app.start().await;
    let bo = authorization("bo");
    let mut own = app.connect("/own").header("authorization", &bo).await.unwrap();
    assert_eq!(own.text().await, "bo");
    let others = app.connect("/others").header("authorization", &bo).await.unwrap_err();
    assert_eq!((others.status(), challenge(&others)), (401, Some("Bearer error=\"invalid_token\"")));
}

/// A verifier may be a type of one's own, and ask a component.
#[tokio::test(start_paused = true)]
async fn a_verifier_asks_components() {
    struct Users(&'static str);
    struct ByUsers;
    impl TokenVerifier for ByUsers {
        type Who = User;

        async fn verify(
            &self,
            token: &str,
            application: &ApplicationContext,
        ) -> Result<Principal<User>, Refusal> {
            let users =
                application.find::<Users>().ok_or_else(|| Refusal::unauthorized("nobody is known"))?;
            if users.0 != token {
                return Err(Refusal::unauthorized("this token is not valid"));
            }
            Ok(Principal::new(User("ann".to_owned())))
        }
    }
    let app = runtime::test::app()
        .only::<Vault>()
        .provide(Users("t0"))
        .provide(BearerTokens::new(ByUsers))
        .start()
        .await;
    let mut peer = app.connect("/vault").header("authorization", "Bearer t0").await.unwrap();
    assert_eq!(peer.text().await, "ann None");
    assert_eq!(app.connect("/vault").header("authorization", "Bearer t1").await.unwrap_err().status(), 401);
}

/// Everything that is logged on this thread, by anybody, with all fields.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<String>>);

impl Visit for Everything {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0.lock().unwrap(), "{}={value:?} ", field.name());
    }
}

impl<S: Subscriber> Layer<S> for Everything {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn no_token_is_logged() {
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let everything = Everything::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(everything.clone()));
    let both = |config: &ServerEndpointConfig| config.is::<Who>() || config.is::<Vault>();
    let tokens = tokens().cookie("session").query("access_token");
    let shown = format!("{tokens:?}");
    let app = runtime::test::app().with(|exporter| exporter.bearer(tokens).only(both)).start().await;
    for of in ["bo", "bo.0"] {
        let path = format!("/vault?door=x&access_token={}", token(of));
        assert!(app.connect(&path).await.is_err());
        for path in ["/who", "/vault", "/nowhere"] {
            let path = format!("{path}?access_token={}", token(of));
            let connect = app.connect(&path).header("authorization", &authorization(of));
            let connect = connect.header("cookie", &format!("session={}", token(of)));
            if let Ok(mut peer) = connect.subprotocols(&["bearer", &token(of)]).await {
                peer.text().await;
                peer.close(1000, "").await.unwrap();
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let logged = everything.0.lock().unwrap();
    assert!(
        logged.contains("accepted") && logged.contains("refused") && logged.contains("closed"),
        "{logged}"
    );
    assert!(!logged.contains(SECRET), "{logged}");
    assert!(!shown.contains(SECRET), "{shown}");
}
