//! Broadcasts over TCP: in order with whatever else is sent, whole whatever the socket takes, and no slower for one who does not read.

use std::collections::HashMap;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{Client, Raw, connect, next_text, only, soon, start};

/// Says each message to all, to its sender alone, to all again, and as a reply.
#[server_endpoint("/crowd", send_buffer = 67_108_864)]
struct Crowd;

#[handlers]
impl Crowd {
    #[on_message]
    async fn say(&self, text: String, session: &Session) -> String {
        session.siblings().send(format!("all {text}")).await;
        drop(session.post(format!("own {text}")));
        session.siblings().send(format!("again {text}")).await;
        format!("reply {text}")
    }
}

/// Sends what it is told, of any size, to all; a second word is how many bytes.
#[server_endpoint("/megaphone", send_buffer = 4_194_304)]
struct Megaphone;

#[handlers]
impl Megaphone {
    #[on_message]
    async fn say(&self, text: &str, session: &Session) {
        let (name, bytes) = text.split_once(' ').unwrap_or((text, "0"));
        let padding = "x".repeat(bytes.parse().unwrap_or(0));
        session.siblings().send(format!("{name} {padding}")).await;
    }
}

/// The same, without waiting for anything, and only to the others.
#[server_endpoint("/haste", send_buffer = 1_048_576)]
struct Haste;

#[handlers]
impl Haste {
    #[on_message]
    fn say(&self, text: &str, session: &Session) -> String {
        let (name, bytes) = text.split_once(' ').unwrap_or((text, "0"));
        let padding = "x".repeat(bytes.parse().unwrap_or(0));
        let _ = session.siblings().except(session).post(format!("{name} {padding}"));
        format!("{name} ")
    }
}

async fn all_in(server: &runtime::Server, count: usize) {
    let enough = async {
        while server.sessions().count() < count {
            tokio::task::yield_now().await;
        }
    };
    soon("all members", enough).await;
}

async fn join(server: &runtime::Server, path: &str, count: usize) -> Vec<Client> {
    let before = server.sessions().count();
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(connect(server.local_addr(), path).await);
    }
    all_in(server, before + count).await;
    clients
}

/// What one task sends arrives in its order, on whichever of the ways it goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broadcasts_sends_and_replies_of_a_handler_stay_in_order() {
    const ROUNDS: usize = 300;
    let server = start(only::<Crowd>()).await;
    let clients = join(&server, "/crowd", 4).await;
    let mut tasks = Vec::new();
    for (me, client) in clients.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            let (mut write, mut read) = client.split();
            let speaker = async {
                for round in 0..ROUNDS {
                    write.feed(Frame::text(format!("{me} {round}"))).await.unwrap();
                    if round % 7 == 0 {
                        write.flush().await.unwrap();
                    }
                }
                write.flush().await.unwrap();
                write
            };
            let listener = async {
                let mut heard: HashMap<usize, Vec<String>> = HashMap::new();
                let mut left = ROUNDS * (4 * 2 + 2);
                while left > 0 {
                    let message = soon("a message", read.next()).await.unwrap().unwrap();
                    let text = message.into_text().unwrap();
                    let [_, who, _] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
                    heard.entry(who.parse().unwrap()).or_default().push(text.to_string());
                    left -= 1;
                }
                heard
            };
            let (_write, heard) = tokio::join!(speaker, listener);
            for (who, heard) in heard {
                let kinds: &[&str] =
                    if who == me { &["all", "own", "again", "reply"] } else { &["all", "again"] };
                let expected: Vec<_> = (0..ROUNDS)
                    .flat_map(|round| kinds.iter().map(move |kind| format!("{kind} {who} {round}")))
                    .collect();
                assert_eq!(heard, expected);
            }
        }));
    }
    for task in tasks {
        soon("a member", task).await.unwrap();
    }
}

/// Sockets that take a part of what is written get the rest, before anything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_get_every_message_whole() {
    const ROUNDS: usize = 150;
    let server = start(only::<Megaphone>()).await;
    let mut members = join(&server, "/megaphone", 5).await;
    let mut loud = members.pop().unwrap();
    // So many bytes that no socket takes them all at once, and still fewer than a queue holds.
    let size = |round: usize| (round % 5) * 9_000;
    for round in 0..ROUNDS {
        soon("sending", loud.send(Frame::text(format!("{round} {}", size(round))))).await.unwrap();
        assert!(next_text(&mut loud).await.starts_with(&format!("{round} ")));
    }
    for member in &mut members {
        for round in 0..ROUNDS {
            let text = next_text(member).await;
            assert_eq!(text.len(), format!("{round} ").len() + size(round));
            assert!(text.starts_with(&format!("{round} ")), "{round}: {}", &text[..8]);
        }
    }
}

/// One who sends much at once fills no queue of members who read: what is theirs is written before it would overflow, not only when
/// the sender's turn is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_in_haste_disconnects_nobody_who_reads() {
    // More than a queue holds, and less than that and what a direct write leaves to the task.
    const ROUNDS: usize = 2;
    const SIZE: usize = 600_000;
    let server = start(only::<Haste>()).await;
    let mut members = join(&server, "/haste", 4).await;
    let mut loud = members.pop().unwrap();
    // From then on their sockets are lent out, and their tasks have nothing to do.
    for round in 0..5 {
        soon("sending", loud.send(Frame::text(format!("{round} 0")))).await.unwrap();
        for member in members.iter_mut().chain([&mut loud]) {
            assert!(next_text(member).await.starts_with(&format!("{round} ")));
        }
    }
    let mut tasks = Vec::new();
    for mut member in members {
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                assert!(next_text(&mut member).await.starts_with(&format!("{round} ")));
            }
        }));
    }
    // Short messages, so that all of them are there at once.
    for round in 0..ROUNDS {
        loud.feed(Frame::text(format!("{round} {SIZE}"))).await.unwrap();
    }
    soon("sending", loud.flush()).await.unwrap();
    for task in tasks {
        soon("a member", task).await.unwrap();
    }
}

/// Who does not read is disconnected when the queue is full, and costs the others nothing; what it has got consists of whole frames.
#[tokio::test]
async fn one_who_does_not_read_costs_the_others_nothing() {
    const SIZE: usize = 60_000;
    let server = start(only::<Megaphone>()).await;
    let mut stuck = Raw::upgraded(server.local_addr(), "/megaphone").await;
    all_in(&server, 1).await;
    let mut others = join(&server, "/megaphone", 3).await;
    let mut rounds = 0;
    // Until the socket and the queue are full. Then the session is no longer open, whether its task has seen that or not.
    while server.sessions().all().iter().filter(Session::is_open).count() == 4 {
        soon("sending", others[0].send(Frame::text(format!("{rounds} {SIZE}")))).await.unwrap();
        for other in &mut others {
            assert!(next_text(other).await.starts_with(&format!("{rounds} ")));
        }
        rounds += 1;
        assert!(rounds < 1000, "nobody was disconnected");
    }
    let mut got = 0;
    let reason = loop {
        let frame = stuck.frame().await.unwrap();
        if frame.opcode == 8 {
            break frame.reason();
        }
        assert_eq!((frame.fin, frame.opcode), (true, 1));
        assert!(frame.payload.starts_with(format!("{got} ").as_bytes()));
        got += 1;
    };
    assert_eq!(reason, (1013, "too slow".to_owned()));
    assert!(got > 0 && got < rounds, "{got} of {rounds}");
}

/// A handle on a session does not keep its socket.
#[tokio::test]
async fn the_socket_goes_with_the_connection() {
    let server = start(only::<Megaphone>()).await;
    let mut members = join(&server, "/megaphone", 2).await;
    for round in 0..3 {
        soon("sending", members[0].send(Frame::text(round.to_string()))).await.unwrap();
        for member in &mut members {
            assert_eq!(next_text(member).await, format!("{round} "));
        }
    }
    let kept: Vec<_> = server.sessions().all().iter().collect();
    for session in &kept {
        session.close(CloseReason::normal()).await.unwrap();
    }
    for member in members {
        assert_eq!(super::support::closed(member).await, Some((1000, String::new())));
    }
    drop(kept);
}
