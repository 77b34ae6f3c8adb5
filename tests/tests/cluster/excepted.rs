//! Recoverable rooms where whoever speaks does not hear himself, and goes on elsewhere: he is not sent his own words there.

use endpoint_runtime::cluster::{Engine, Local, Redis};
use endpoint_runtime::prelude::*;
use endpoint_runtime::test::{Peer, RunningApp};
use endpoint_tests::redis_server::RedisServer;
use serde_json::{Value, json};

use crate::calls::support::acquainted;

/// What one says, the others hear.
#[server_endpoint("/club", recover(size = 100, ttl = "5m", rooms = "club"), resume = "2m")]
struct Club;

#[handlers]
impl Club {
    #[on_open]
    async fn open(&self, session: &Session) -> &'static str {
        session.join("club");
        assert!(session.reachable().await, "nobody reaches it");
        "open"
    }

    #[on_message]
    async fn say(&self, text: String, session: &Session, sessions: Sessions) -> Option<String> {
        let delivery = sessions.room("club").except(session).send(text).await;
        delivery.elsewhere().error().map(ToString::to_string)
    }
}

async fn node(engine: impl Engine) -> RunningApp {
    let app = endpoint_runtime::test::app();
    app.with(|exporter| exporter.only(ServerEndpointConfig::is::<Club>).cluster(engine)).start().await
}

/// A client that can be resumed: what the next first message says, and all that is not a message of the application.
struct Client {
    peer: Peer,
    token: Value,
    /// Its place in the club.
    at: Value,
    recovered: Vec<Value>,
}

impl Client {
    async fn begin(node: &RunningApp, token: &Value, at: &Value) -> Self {
        let mut peer = node.connect("/club?resume=1").await.unwrap();
        // It has seen that the session before was open.
        let first = match at {
            Value::Null => json!({ "resume": token }),
            at => json!({ "resume": token, "seen": 1, "at": { "club": at } }),
        };
        peer.send(format!("\u{1}{first}")).await.unwrap();
        let mut client = Client { peer, token: Value::Null, at: at.clone(), recovered: Vec::new() };
        while client.token.is_null() {
            let told = client.peer.text().await;
            client.note(&told);
        }
        client
    }

    /// Whether it is a control message. It is noted.
    fn note(&mut self, text: &str) -> bool {
        let Some(control) = text.strip_prefix('\u{1}') else { return false };
        let control: Value = serde_json::from_str(control).unwrap();
        if let Some(session) = control.get("session") {
            self.token = session["token"].clone();
        }
        for key in ["at", "joined"] {
            if let Some(place) = control.get(key) {
                assert_eq!(place[0], "club");
                self.at = json!([place[1], place[2]]);
            }
        }
        if let Some(recovered) = control.get("recovered") {
            self.recovered.push(recovered.clone());
        }
        true
    }

    /// The next message of the application.
    async fn hears(&mut self) -> String {
        loop {
            let text = self.peer.text().await;
            if !self.note(&text) {
                return text;
            }
        }
    }

    async fn is_at(&mut self, offset: u64) {
        while self.at[1] != offset {
            let text = self.peer.text().await;
            assert!(self.note(&text), "{text} instead of the place {offset}");
        }
    }

    async fn says(&mut self, text: &str) {
        self.peer.send(text).await.unwrap();
    }
}

async fn nobody_is_sent_his_own_words<E: Engine>([one, other]: [E; 2]) {
    let nodes = [node(one).await, node(other).await];
    acquainted(&nodes).await;
    let mut bo = Client::begin(&nodes[1], &Value::Null, &Value::Null).await;
    assert_eq!(bo.hears().await, "open");
    let mut ann = Client::begin(&nodes[0], &Value::Null, &Value::Null).await;
    assert_eq!(ann.hears().await, "open");
    ann.says("one").await;
    assert_eq!(bo.hears().await, "one");
    // She knows that it has gone by.
    ann.is_at(1).await;
    bo.says("two").await;
    assert_eq!(ann.hears().await, "two");
    let before = ann.at.clone();
    assert_eq!(before[1], 2);
    ann.says("three").await;
    assert_eq!(bo.hears().await, "three");
    // Her connection is lost before she knows the place of that.
    let Client { token, peer, .. } = ann;
    drop(peer);
    bo.says("four").await;
    bo.is_at(4).await;
    let mut ann = Client::begin(&nodes[1], &token, &before).await;
    let mut heard = Vec::new();
    while heard.len() < 2 || ann.recovered.is_empty() {
        let text = ann.peer.text().await;
        if !ann.note(&text) {
            heard.push(text);
        }
    }
    heard.sort();
    assert_eq!(heard, ["four", "open"]);
    assert_eq!(ann.recovered, [json!(["club", true])]);
    assert_eq!(ann.at[1], 4);
    bo.says("five").await;
    assert_eq!(ann.hears().await, "five");
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_on_elsewhere_is_not_sent_his_own_words() {
    let engine = Local::new();
    nobody_is_sent_his_own_words([engine.clone(), engine]).await;
}

#[tokio::test]
async fn whoever_goes_on_elsewhere_is_not_sent_his_own_words_over_redis() {
    let server = RedisServer::start().await;
    let connect = || async { Redis::connect(&server.url()).await.unwrap() };
    nobody_is_sent_his_own_words([connect().await, connect().await]).await;
}
