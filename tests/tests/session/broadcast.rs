//! Broadcasts in memory: to very many.

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime};

use crate::support::{soon, until};

#[server_endpoint("/stadium")]
struct Stadium;

#[handlers]
impl Stadium {
    #[on_message]
    async fn shout(&self, text: Text, session: &Session) -> String {
        let delivery = session.siblings().send(text).await;
        delivery.to_string()
    }
}

/// All of them, in order, and the one who sends waits for nobody.
#[tokio::test]
async fn ten_thousand_members() {
    const MEMBERS: usize = 10_000;
    let app = runtime::test::app().only::<Stadium>().start().await;
    let mut members = Vec::with_capacity(MEMBERS);
    for _ in 0..MEMBERS {
        members.push(app.connect("/stadium").await.unwrap());
    }
    until("all members", || app.sessions().count() == MEMBERS).await;
    members[0].send("one").await.unwrap();
    members[0].send("two").await.unwrap();
    let delivered = format!("{MEMBERS} queued, 0 missed");
    for text in ["one", &delivered, "two", &delivered] {
        assert_eq!(soon("the sender's", members[0].text()).await, text);
    }
    for member in &mut members[1..] {
        for text in ["one", "two"] {
            assert_eq!(soon("a message", member.text()).await, text);
        }
    }
    assert_eq!(app.sessions().count(), MEMBERS);
}
