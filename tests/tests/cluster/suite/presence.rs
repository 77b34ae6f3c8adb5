//! Who is present: until when, and in which order they are named.

use std::time::Duration;

use endpoint_runtime::cluster::{Channel, Engine, Present, Recorded};

use super::{LONG, Node, Pair, SHORT, odd_names, soon, until};

impl<E: Engine> Node<E> {
    async fn enter(&self, channel: &Channel, members: &[Recorded], ttl: Duration) {
        soon("the entry", self.engine.enter(channel, members, ttl)).await.unwrap();
    }

    async fn exit(&self, channel: &Channel, members: &[&str]) {
        let members: Vec<String> = members.iter().map(|id| String::from(*id)).collect();
        soon("the exit", self.engine.exit(channel, &members)).await.unwrap();
    }

    async fn present(&self, channel: &Channel, after: Option<&str>, limit: usize) -> Present {
        soon("who is present", self.engine.present(channel, after, limit)).await.unwrap()
    }
}

fn member(id: &str, info: &str) -> Recorded {
    Recorded { id: id.into(), info: String::from(info).into() }
}

/// Ids and what is known, to compare with.
fn page(of: &Present) -> Vec<(&str, &str)> {
    of.page.iter().map(|member| (&*member.id, str::from_utf8(&member.info).unwrap())).collect()
}

pub(super) async fn who_has_entered_is_present_until_it_exits(pair: Pair<impl Engine>) {
    let (room, empty) = (pair.room("a"), pair.room("b"));
    pair.one.enter(&room, &[member("b", "Bo"), member("a", "")], LONG).await;
    pair.other.enter(&room, &[member("c", "\u{1f980}\0")], LONG).await;
    let all = pair.other.present(&room, None, 10).await;
    assert_eq!((all.count, page(&all)), (3, vec![("a", ""), ("b", "Bo"), ("c", "\u{1f980}\0")]));
    assert_eq!(pair.one.present(&empty, None, 10).await, Present::default());
    // Whoever notes it, and also those who are not there.
    pair.other.exit(&room, &["b", "nobody"]).await;
    let all = pair.one.present(&room, None, 10).await;
    assert_eq!((all.count, page(&all)), (2, vec![("a", ""), ("c", "\u{1f980}\0")]));
    pair.one.exit(&room, &["a", "c"]).await;
    assert_eq!(pair.one.present(&room, None, 10).await, Present::default());
    pair.stop().await;
}

pub(super) async fn who_enters_again_is_present_once(pair: Pair<impl Engine>) {
    let room = pair.room("");
    pair.one.enter(&room, &[member("a", "before")], LONG).await;
    pair.other.enter(&room, &[member("a", "after")], LONG).await;
    let all = pair.one.present(&room, None, 10).await;
    assert_eq!((all.count, page(&all)), (1, vec![("a", "after")]));
    pair.one.exit(&room, &["a"]).await;
    assert_eq!(pair.other.present(&room, None, 10).await, Present::default());
    pair.stop().await;
}

pub(super) async fn pages_are_sorted_and_whole(pair: Pair<impl Engine>) {
    let room = pair.room("");
    let mut ids: Vec<String> =
        (0..1000_u32).map(|number| format!("{:x}", number.wrapping_mul(0x9e37_79b9))).collect();
    let members: Vec<Recorded> = ids.iter().map(|id| member(id, id)).collect();
    let (some, others) = members.split_at(300);
    pair.one.enter(&room, some, LONG).await;
    pair.other.enter(&room, others, LONG).await;
    ids.sort_unstable();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let present = pair.one.present(&room, seen.last().map(String::as_str), 64).await;
        assert_eq!(present.count, 1000);
        assert!(present.page.len() <= 64);
        assert!(present.page.iter().all(|member| *member.info == *member.id.as_bytes()));
        if present.page.is_empty() {
            break;
        }
        seen.extend(present.page.into_iter().map(|member| member.id));
    }
    assert_eq!(seen, ids);
    // Behind somebody who is not there.
    let first = pair.one.present(&room, Some(&format!("{}\0", ids[0])), 1).await;
    assert_eq!(first.page[0].id, ids[1]);
    let none = pair.one.present(&room, None, 0).await;
    assert_eq!((none.count, none.page.len()), (1000, 0));
    pair.stop().await;
}

pub(super) async fn who_is_not_noted_again_leaves(pair: Pair<impl Engine>) {
    let room = pair.room("");
    pair.one.enter(&room, &[member("leaves", ""), member("stays", "")], SHORT).await;
    pair.one.enter(&room, &[member("stays", "")], LONG).await;
    until("who is not noted again to leave", async || {
        let all = pair.other.present(&room, None, 10).await;
        assert_eq!(all.count as usize, all.page.len());
        all.page == [member("stays", "")]
    })
    .await;
    pair.stop().await;
}

pub(super) async fn every_name_has_its_own_members(pair: Pair<impl Engine>) {
    let names = odd_names();
    let rooms: Vec<Channel> = names.iter().map(|name| Channel::room(name)).collect();
    for room in &rooms {
        pair.one.enter(room, &[member("id", &format!("{room:?}"))], LONG).await;
    }
    for room in &rooms {
        let all = pair.other.present(room, None, 10).await;
        assert_eq!((all.count, page(&all)), (1, vec![("id", &*format!("{room:?}"))]));
        pair.other.exit(room, &["id"]).await;
    }
    // Ids are of any characters too.
    let room: Channel = "node:00000000000000aa".parse().unwrap();
    let mut ids: Vec<&str> = names.iter().map(String::as_str).filter(|id| id.len() <= 1024).collect();
    let members: Vec<Recorded> = ids.iter().map(|id| member(id, id)).collect();
    pair.one.enter(&room, &members, LONG).await;
    ids.sort_unstable();
    let all = pair.other.present(&room, None, 1000).await;
    assert_eq!(page(&all), ids.iter().map(|id| (*id, *id)).collect::<Vec<_>>());
    pair.other.exit(&room, &ids).await;
    assert_eq!(pair.one.present(&room, None, 10).await, Present::default());
    pair.stop().await;
}
