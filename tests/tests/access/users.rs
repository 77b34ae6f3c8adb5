//! Users: all sessions of a principal are found by its name, at whichever endpoint they are.

use endpoint_runtime as runtime;
use endpoint_runtime::Container;
use endpoint_runtime::prelude::*;
use tower_layer::layer_fn;

use crate::support::{ByName, User, authorization, token, tokens};

macro_rules! endpoints {
    ($($name:ident: $path:literal),*) => {
        $(
            #[server_endpoint($path)]
            struct $name;

            #[handlers]
            impl $name {
                #[on_open]
                fn open(&self, session: &Session) -> String {
                    session.user().unwrap_or_else(|| "nobody".to_owned())
                }

                #[on_message]
                async fn text(&self, text: String, session: &Session) -> Result<String> {
                    match text.split_once(' ') {
                        Some(("call", name)) => session.set_user(name),
                        _ => session.authorize(&text).await?,
                    }
                    Ok(session.user().unwrap_or_else(|| "nobody".to_owned()))
                }
            }
        )*
    };
}

endpoints!(Chat: "/chat", News: "/news", Orders: "/orders/{id}");

async fn start() -> runtime::test::RunningApp {
    let app = runtime::test::app().with(|exporter| {
        let ours = |config: &ServerEndpointConfig| {
            config.is::<Chat>() || config.is::<News>() || config.is::<Orders>()
        };
        exporter.bearer(tokens()).layer(layer_fn(ByName)).only(ours)
    });
    app.start().await
}

#[tokio::test(start_paused = true)]
async fn all_sessions_of_a_principal_are_closed() {
    let app = start().await;
    let mut peers = Vec::new();
    for (path, header, value, name) in [
        ("/chat", "authorization", authorization("bo"), "bo"),
        ("/chat", "authorization", authorization("bo.admin.500"), "bo"),
        ("/news", "x-name", "bo".to_owned(), "bo"),
        ("/orders/7", "x-name", "bo".to_owned(), "bo"),
        ("/chat", "authorization", authorization("ann"), "ann"),
        ("/orders/7", "x-other", "bo".to_owned(), "nobody"),
    ] {
        let mut peer = app.connect(path).header(header, &value).await.unwrap();
        assert_eq!(peer.text().await, name, "{path}");
        peers.push(peer);
    }
    let sessions = app.sessions();
    assert_eq!((sessions.user("bo").count(), sessions.user("ann").count()), (4, 1));
    assert_eq!(sessions.user("bo").close(CloseReason::policy("signed out")).await, 4);
    for peer in &mut peers[..4] {
        let reason = peer.closed().await;
        assert_eq!((reason.code(), reason.text()), (CloseCode::Policy, "signed out"));
    }
    for (peer, name) in peers[4..].iter_mut().zip(["ann", "carl"]) {
        peer.send(format!("call {name}")).await.unwrap();
        assert_eq!(peer.text().await, name);
    }
    assert_eq!((sessions.count(), sessions.user("bo").count()), (2, 0));
}

/// What the application calls a session stays, whoever its peer turns out to be.
#[tokio::test(start_paused = true)]
async fn the_applications_own_word_counts() {
    let app = start().await;
    let mut peer = app.connect("/chat").header("authorization", &authorization("bo")).await.unwrap();
    assert_eq!(peer.text().await, "bo");
    for (say, user) in
        [("call ann".to_owned(), "ann"), (token("bo.admin"), "ann"), ("call bo".to_owned(), "bo")]
    {
        peer.send(say).await.unwrap();
        assert_eq!(peer.text().await, user);
        assert_eq!((app.sessions().user(user).count(), app.sessions().count()), (1, 1));
    }
    // A refresh by the application may say that it is somebody else, or that nobody knows who.
    let session = app.sessions().user("bo").iter().next().unwrap();
    session.refresh(Principal::new(User("carl".to_owned())).named("carl"));
    assert_eq!(session.user().as_deref(), Some("carl"));
    session.refresh(Principal::new(User("carl".to_owned())));
    assert_eq!((session.user(), app.sessions().user("carl").count()), (None, 0));
    session.refresh(Principal::new(User("dora".to_owned())).named("dora"));
    assert_eq!((session.user().as_deref(), app.sessions().user("dora").count()), (Some("dora"), 1));
}

/// Who signs in, or is made somebody else, counts as who comes as that one.
#[tokio::test(start_paused = true)]
async fn who_signs_in_later_counts_too() {
    let app = runtime::test::app().only::<Chat>().with(|exporter| {
        let exporter = exporter.configure(|settings| settings.max_connections_per_principal = 1);
        exporter.bearer(tokens())
    });
    let app = app.start().await;
    let come = async |of: &str| app.connect("/chat").header("authorization", &authorization(of)).await;
    let mut bo = app.connect("/chat").await.unwrap();
    assert_eq!(bo.text().await, "nobody");
    // A token that prolongs the session is none more.
    for _ in 0..2 {
        bo.send(token("bo")).await.unwrap();
        assert_eq!(bo.text().await, "bo");
    }
    assert_eq!(come("bo").await.unwrap_err().status(), 503);
    let mut stranger = app.connect("/chat").await.unwrap();
    assert_eq!(stranger.text().await, "nobody");
    for (say, user) in [(token("bo"), None), ("call carl".to_owned(), Some("carl"))] {
        stranger.send(say).await.unwrap();
        if let Some(user) = user {
            assert_eq!(stranger.text().await, user);
        }
    }
    let session = app.sessions().user("carl").iter().next().unwrap();
    let counters = app.context().get::<Container>().unwrap().counters();
    assert_eq!((session.identity(), counters.refused_principal), (None, 2));
    // The application's word is not asked for.
    session.refresh(Principal::new(User("bo".to_owned())).named("bo"));
    bo.close(1000, "").await.unwrap();
    assert_eq!(come("bo").await.unwrap_err().status(), 503);
    session.refresh(Principal::new(User("ann".to_owned())).named("ann"));
    assert_eq!(come("ann").await.unwrap_err().status(), 503);
    assert_eq!(come("bo").await.unwrap().text().await, "bo");
    stranger.close(1000, "").await.unwrap();
    // The handle is still there, and nobody sits in its place.
    assert_eq!(come("ann").await.unwrap().text().await, "ann");
    assert!(!session.is_open());
}
