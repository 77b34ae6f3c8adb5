//! Values that are kept for a while: who puts them, who takes them.

use std::time::Duration;

use bytes::Bytes;
use endpoint_runtime::cluster::{Engine, Put};
use futures_util::future::join_all;

use super::{LONG, Node, Pair, SHORT, odd_names, soon, until};

impl<E: Engine> Node<E> {
    async fn put(&self, key: &str, value: &'static str, ttl: Duration, how: Put) -> bool {
        soon("the put", self.engine.put(key, value.into(), ttl, how)).await.unwrap()
    }

    async fn take(&self, key: &str) -> Option<Bytes> {
        soon("the take", self.engine.take(key)).await.unwrap()
    }
}

pub(super) async fn a_value_is_taken_once(pair: Pair<impl Engine>) {
    let key = pair.key("");
    assert_eq!(pair.one.take(&key).await, None);
    for value in ["", "\0\r\n", "a value"] {
        assert!(pair.one.put(&key, value, LONG, Put::New).await);
        assert_eq!(pair.other.take(&key).await, Some(value.into()));
        assert_eq!(pair.other.take(&key).await, None);
        assert_eq!(pair.one.take(&key).await, None);
    }
    pair.stop().await;
}

pub(super) async fn a_value_is_put_anew_or_again(pair: Pair<impl Engine>) {
    let key = pair.key("");
    assert!(!pair.one.put(&key, "a", LONG, Put::Again).await, "there is none");
    assert!(pair.one.put(&key, "b", LONG, Put::New).await);
    assert!(!pair.other.put(&key, "c", LONG, Put::New).await, "there is one");
    assert!(pair.other.put(&key, "d", LONG, Put::Again).await);
    assert_eq!(pair.one.take(&key).await, Some("d".into()));
    assert!(!pair.other.put(&key, "e", LONG, Put::Again).await, "it was taken");
    assert_eq!(pair.one.take(&key).await, None, "nobody brings it back");
    pair.stop().await;
}

pub(super) async fn one_of_many_takes_a_value(pair: Pair<impl Engine>) {
    for round in 0..20 {
        let key = pair.key(&round.to_string());
        assert!(pair.one.put(&key, "one", LONG, Put::New).await);
        let takers = (0..20).map(|number| {
            let node = if number % 2 == 0 { &pair.one } else { &pair.other };
            node.take(&key)
        });
        let taken: Vec<Bytes> = join_all(takers).await.into_iter().flatten().collect();
        assert_eq!(taken, ["one"]);
    }
    pair.stop().await;
}

pub(super) async fn one_of_many_puts_a_new_value(pair: Pair<impl Engine>) {
    for round in 0..20 {
        let key = pair.key(&round.to_string());
        let who = ["0", "1", "2", "3", "4", "5", "6", "7"];
        let puts = who.iter().enumerate().map(|(number, who)| {
            let node = if number % 2 == 0 { &pair.one } else { &pair.other };
            node.put(&key, who, LONG, Put::New)
        });
        let puts = join_all(puts).await;
        let winners: Vec<&str> =
            who.into_iter().zip(puts).filter(|(_, put)| *put).map(|(who, _)| who).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(pair.one.take(&key).await, Some(winners[0].into()));
    }
    pair.stop().await;
}

pub(super) async fn a_value_is_kept_for_a_while(pair: Pair<impl Engine>) {
    let (short, kept, shortened) = (pair.key("short"), pair.key("kept"), pair.key("shortened"));
    assert!(pair.one.put(&kept, "a", SHORT, Put::New).await);
    assert!(pair.one.put(&kept, "b", LONG, Put::Again).await);
    assert!(pair.one.put(&shortened, "a", LONG, Put::New).await);
    assert!(pair.one.put(&shortened, "b", SHORT, Put::Again).await);
    assert!(pair.one.put(&short, "a", SHORT, Put::New).await);
    for key in [&short, &shortened] {
        // What is there is not replaced by a new one.
        until("the value to expire", async || pair.other.put(key, "new", LONG, Put::New).await).await;
        assert_eq!(pair.other.take(key).await, Some("new".into()));
    }
    assert_eq!(pair.other.take(&kept).await, Some("b".into()));
    pair.stop().await;
}

pub(super) async fn every_key_has_its_own_value(pair: Pair<impl Engine>) {
    let keys: Vec<String> = odd_names().into_iter().map(|name| pair.key(&name)).collect();
    for key in &keys {
        let value = Bytes::from(key.clone());
        assert!(pair.one.engine.put(key, value, LONG, Put::New).await.unwrap(), "{key:?}");
    }
    for key in &keys {
        assert_eq!(pair.other.take(key).await, Some(Bytes::from(key.clone())));
    }
    pair.stop().await;
}
