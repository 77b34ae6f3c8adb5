//! Group T: who the peer is, what becomes of who signs out, and what is injected.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{
    self as runtime, Configurator, Endpoint, EndpointService, Refusal, ServerEndpointConfig,
};
use http::{Request, Response};
use hyper::body::Incoming;
use tower_layer::layer_fn;
use tower_service::Service;

use crate::stage::these;
use crate::table::rows;
use crate::told::{Told, diary};

// ---- identity

/// Who somebody is, and what he may do.
struct User {
    name: String,
    roles: Vec<&'static str>,
}

fn user(name: &str) -> Principal<User> {
    let roles = if name == "j2ee" { vec!["MGR", "EMP"] } else { vec!["EMP"] };
    Principal::new(User { name: name.to_owned(), roles })
}

#[server_endpoint("/t/protected")]
struct Protected;

#[handlers]
impl Protected {
    #[on_open]
    fn open(&self, who: Principal<User>, session: &Session) -> String {
        session.set_user(&who.name);
        let at_handshake = session.handshake().extensions().get::<Principal<User>>().unwrap();
        assert_eq!(at_handshake.name, who.name);
        format!("{} {:?}", who.name, who.roles)
    }

    #[on_close]
    fn close(&self, who: Principal<User>, reason: &CloseReason, told: Inject<Told>) {
        told.tell(format_args!("{} {}", who.name, u16::from(reason.code())));
    }
}

#[server_endpoint("/t/open")]
struct Open;

#[handlers]
impl Open {
    #[on_open]
    fn open(&self, who: Option<Principal<User>>) -> String {
        who.map_or_else(|| "anonymous".to_owned(), |who| who.name.clone())
    }
}

/// Knows who sends a name, and turns a stranger away where that is asked for.
struct Knows;

impl Configurator for Knows {
    async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
        let name =
            handshake.header("x-name").map(str::to_owned).ok_or_else(|| Refusal::unauthorized("sign in"))?;
        handshake.extensions_mut().insert(user(&name));
        Ok(())
    }
}

/// Says who its peer is, by the handshake.
struct WhoIs;

impl Endpoint for WhoIs {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let who = session.handshake().extensions().get::<Principal<User>>().unwrap();
        Ok(session.send(format!("{} {:?}", who.name, who.roles)).await?)
    }
}

/// A layer in front of all endpoints that knows who sends a name.
#[derive(Clone)]
struct ByName(EndpointService);

impl Service<Request<Incoming>> for ByName {
    type Response = Response<runtime::ResponseBody>;
    type Error = <EndpointService as Service<Request<Incoming>>>::Error;
    type Future = <EndpointService as Service<Request<Incoming>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let name = request.headers().get("x-name").and_then(|name| name.to_str().ok()).map(str::to_owned);
        if let Some(name) = name {
            request.extensions_mut().insert(user(&name));
        }
        self.0.call(request)
    }
}

/// EE-02, EE-03, HS-04, SES-29: whoever the layer, or the configurator, knows is known to the session; a stranger is 401 where somebody is asked
/// for, and welcome elsewhere.
#[tokio::test(start_paused = true)]
async fn a_principal_is_established_in_the_handshake() {
    let table = [
        ("by a layer", "/t/protected", Some("j2ee"), Ok(r#"j2ee ["MGR", "EMP"]"#)),
        ("by a layer, another role", "/t/protected", Some("javajoe"), Ok(r#"javajoe ["EMP"]"#)),
        ("anonymous", "/t/protected", None, Err(401)),
        ("by a configurator", "/t/configured", Some("javajoe"), Ok(r#"javajoe ["EMP"]"#)),
        ("anonymous for a configurator", "/t/configured", None, Err(401)),
        ("not protected", "/t/open", None, Ok("anonymous")),
        ("not protected, and known all the same", "/t/open", Some("j2ee"), Ok("j2ee")),
    ];
    rows(table.map(|(name, path, who, expected)| {
        (name, async move {
            let (told, _heard) = diary();
            let configured =
                ServerEndpointConfig::builder("/t/configured", || WhoIs).configurator(Knows).build();
            let configs =
                [ServerEndpointConfig::of::<Protected>(), ServerEndpointConfig::of::<Open>(), configured];
            let app = these(configs).provide(told).with(|exporter| exporter.layer(layer_fn(ByName)));
            let app = app.start().await;
            let mut connect = app.connect(path);
            if let Some(who) = who {
                connect = connect.header("x-name", who);
            }
            match (connect.await, expected) {
                (Ok(mut peer), Ok(text)) => assert_eq!(peer.text().await, text),
                (Err(refused), Err(status)) => {
                    assert_eq!(refused.status(), status);
                    assert_eq!(app.sessions().count(), 0);
                }
                (result, _) => panic!("{result:?}"),
            }
        })
    }))
    .await;
}

/// EE-05: who signs out has all sessions closed with 1008, and `on_close` has seen that; nobody else notices.
#[tokio::test(start_paused = true)]
async fn who_signs_out_is_closed_with_1008() {
    let (told, mut heard) = diary();
    let configs = [ServerEndpointConfig::of::<Protected>()];
    let app = these(configs).provide(told).with(|exporter| exporter.layer(layer_fn(ByName))).start().await;
    let mut peers = Vec::new();
    for name in ["j2ee", "j2ee", "javajoe"] {
        let mut peer = app.connect("/t/protected").header("x-name", name).await.unwrap();
        peer.text().await;
        peers.push(peer);
    }
    app.sessions().user("j2ee").close(CloseReason::policy("signed out")).await;
    for peer in &mut peers[..2] {
        let reason = peer.closed().await;
        assert_eq!((reason.code(), reason.text()), (CloseCode::Policy, "signed out"));
        heard.expect("j2ee 1008").await;
    }
    peers[2].expect_nothing_for(Duration::from_secs(1)).await;
    assert_eq!((app.sessions().count(), app.sessions().user("javajoe").count()), (1, 1));
}

// ---- injection

/// What is injected.
struct Greeting(&'static str);

/// What is not.
struct Missing;

/// EE-01, the kit's three of CDI: into the constructor, into fields, into methods.
#[tokio::test(start_paused = true)]
async fn components_are_injected() {
    #[server_endpoint("/t/field")]
    struct ByField {
        #[inject]
        greeting: Arc<Greeting>,
        #[inject]
        absent: Option<Arc<Missing>>,
    }

    #[handlers]
    impl ByField {
        #[on_message]
        fn message(&self, name: String) -> String {
            format!("{} {name} {}", self.greeting.0, self.absent.is_none())
        }
    }

    #[server_endpoint("/t/method")]
    struct ByMethod;

    #[handlers]
    impl ByMethod {
        #[on_message]
        fn message(
            &self,
            name: String,
            Inject(greeting): Inject<Greeting>,
            all: ApplicationContext,
        ) -> String {
            format!("{} {name} {}", greeting.0, all.find::<Missing>().is_none())
        }
    }

    /// A programmatic endpoint's constructor is a closure, and its configurator completes what that makes.
    struct ByConstructor(Option<Arc<Greeting>>);

    impl Endpoint for ByConstructor {
        async fn on_message(&mut self, session: &Session, message: Message) -> Result<()> {
            let greeting = self.0.as_ref().ok_or_else(|| Error::msg("no greeting"))?;
            Ok(session.send(format!("{} {} true", greeting.0, message.as_text().unwrap_or_default())).await?)
        }
    }

    let greeting = Arc::new(Greeting("Hello"));
    let given = Arc::clone(&greeting);
    let constructed =
        ServerEndpointConfig::builder("/t/constructor", move || ByConstructor(Some(Arc::clone(&given))))
            .build();
    let configs =
        [ServerEndpointConfig::of::<ByField>(), ServerEndpointConfig::of::<ByMethod>(), constructed];
    let app = &these(configs).provide_shared(greeting).start().await;
    rows(["/t/constructor", "/t/field", "/t/method"].map(|path| {
        (path, async move {
            let mut peer = app.connect(path).await.unwrap();
            peer.send("TCK").await.unwrap();
            assert_eq!(peer.text().await, "Hello TCK true");
        })
    }))
    .await;
}
