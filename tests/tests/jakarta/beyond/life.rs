//! One handler at a time and in order (5.1), many senders at once (SES-31, BAS-08, ASY-12), and what a limit on messages is about (MX-01 to MX-03).

use std::sync::Arc;

use endpoint_runtime::prelude::*;
use tokio::io::AsyncWriteExt;

use super::pair::{Pair, SIDES, Side, both_sides};
use crate::table::rows;
use crate::told::{Told, soon};

impl Told {
    /// Tells the beginning and the end of what takes a while.
    async fn during(&self, what: &str) {
        self.tell(format_args!("begin {what}"));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.tell(format_args!("end {what}"));
    }
}

both_sides! {
    Busy at "/beyond/busy", BusyClient () {
        #[on_open]
        async fn open(&self) {
            self.told.during("open").await;
        }

        #[on_message]
        async fn text(&self, text: String) -> Result<()> {
            self.told.during(&text).await;
            if text.ends_with('!') { Err(Error::msg(text)) } else { Ok(()) }
        }

        #[on_message]
        async fn bytes(&self, bytes: Bytes) {
            self.told.during(&format!("{bytes:?}")).await;
        }

        #[on_message]
        async fn pong(&self, pong: Pong) {
            self.told.during(&format!("pong {:?}", pong.payload())).await;
        }

        #[on_error]
        async fn error(&self, error: &Error) {
            self.told.during(&format!("error {error}")).await;
        }

        #[on_close]
        async fn close(&self) {
            self.told.during("close").await;
        }
    }
}

/// Everything in its order, one thing at a time: `on_open` first, `on_close` last and once.
async fn one_at_a_time(side: Side) {
    const MESSAGES: usize = 30;
    let mut pair = BusyClient::pair(side, "").await;
    let (heard, other) = (&mut pair.heard, &pair.other);
    let mut expected = vec!["open".to_owned()];
    for number in 0..MESSAGES {
        match number % 3 {
            0 => {
                other.send(format!("text {number}")).await.unwrap();
                expected.push(format!("text {number}"));
            }
            1 => {
                other.send(format!("{number}").into_bytes()).await.unwrap();
                expected.push(format!("b\"{number}\""));
            }
            // An error is dealt with before the next message.
            _ => {
                other.send(format!("text {number}!")).await.unwrap();
                expected.extend([format!("text {number}!"), format!("error text {number}!")]);
            }
        }
    }
    other.close(CloseReason::normal()).await.unwrap();
    expected.push("close".to_owned());
    let told = heard.up_to("end close").await;
    let whole: Vec<_> =
        expected.iter().flat_map(|what| [format!("begin {what}"), format!("end {what}")]).collect();
    assert_eq!(told, whole);
    pair.stop().await;
    assert_eq!(pair.heard.so_far(), [""; 0]);
}

/// WSC-5.1-2 to -5.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_run_one_at_a_time_and_in_order() {
    rows(SIDES.map(|side| (format!("{side:?}"), one_at_a_time(side)))).await;
}

/// Pongs come between messages, and never while another handler runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pongs_wait_for_the_handler_that_runs() {
    rows(SIDES.map(|side| {
        (format!("{side:?}"), async move {
            let Pair { mut heard, other, .. } = BusyClient::pair(side, "").await;
            for number in 0..20 {
                other.send(format!("text {number}")).await.unwrap();
                other.pong(number.to_string()).await.unwrap();
            }
            // Twenty of each, and `on_open`.
            let mut told = Vec::new();
            for _ in 0..2 * 41 {
                told.push(heard.next().await);
            }
            for pair in told.chunks(2) {
                assert_eq!(pair[0].strip_prefix("begin "), pair[1].strip_prefix("end "), "{told:?}");
            }
            for kind in ["begin text ", "begin pong "] {
                let numbers = told.iter().filter_map(|told| told.strip_prefix(kind));
                let numbers: Vec<u32> =
                    numbers.map(|number| number.trim_matches(['b', '"']).parse().unwrap()).collect();
                assert!(numbers.iter().copied().eq(0..20), "{kind}: {told:?}");
            }
        })
    }))
    .await;
}

// ---- many senders

both_sides! {
    Sender at "/beyond/sender", SenderClient (send_buffer = 65_536) {
        #[on_open]
        fn open(&self) {
            self.told.tell("open");
        }
    }
}

const TASKS: usize = 8;
const EACH: usize = 60;

/// What a task sends: its name, a number, and a filling that would show if messages were mixed up.
fn message(task: usize, number: usize) -> String {
    let filling = char::from(b'a' + task as u8).to_string().repeat(if number.is_multiple_of(10) {
        20_000
    } else {
        number
    });
    format!("{task} {number} {filling}")
}

/// One of the ways to send a text that wait for room.
async fn send(session: &Session, way: usize, text: String) -> Result<()> {
    match way % 5 {
        0 => session.send(text).await?,
        1 => session.send_and_flush(text).await?,
        2 => {
            let (begin, end) = text.split_at(text.len() / 2);
            session.send_fragment(Fragment::new(begin, false)).await?;
            session.send_fragment(Fragment::new(end, true)).await?;
        }
        3 => {
            let mut writer = session.text_writer();
            writer.write_all(text.as_bytes()).await?;
            writer.finish().await?;
        }
        _ => {
            let fill = |batch: &mut endpoint_runtime::Batch| {
                batch.send(text);
            };
            session.batch(fill).await?;
        }
    }
    Ok(())
}

/// A1: many tasks send at once, in every way there is. No call fails, every message arrives whole, and those of one task in its order.
async fn all_at_once(side: Side) {
    let Pair { tested, mut others, other, .. } = SenderClient::pair(side, "").await;
    other.set_max_text_size(1 << 20);
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let session = tested.clone();
            tokio::spawn(async move {
                for number in 0..EACH {
                    send(&session, task + number, message(task, number)).await?;
                }
                Ok::<(), Error>(())
            })
        })
        .collect();
    let mut next = [0; TASKS];
    for _ in 0..TASKS * EACH {
        let text = others.next().await;
        let task = text.split_once(' ').and_then(|(task, _)| task.parse::<usize>().ok());
        let task = task.unwrap_or_else(|| panic!("{text:.100}"));
        assert!(
            text == message(task, next[task]),
            "task {task}, message {}: {} bytes",
            next[task],
            text.len()
        );
        next[task] += 1;
    }
    assert_eq!(next, [EACH; TASKS]);
    for task in tasks {
        soon("a task", task).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_send_at_once() {
    rows(SIDES.map(|side| (format!("{side:?}"), all_at_once(side)))).await;
}

// ---- the limit

both_sides! {
    Limited at "/beyond/limited", LimitedClient (max_message_size = 10) {
        #[on_message]
        fn text(&self, text: String) {
            self.told.tell(format_args!("text {}", text.len()));
        }

        #[on_message]
        fn part(&self, part: Fragment<Bytes>) {
            if part.last {
                self.told.tell("bytes");
            }
        }

        #[on_close]
        fn close(&self, reason: &CloseReason) {
            self.told.tell(format_args!("close {}", u16::from(reason.code())));
        }
    }
}

/// MX-01 to MX-03, SES-16: the limit is of whole messages, in bytes, and ends the session with 1009; what comes in parts has none.
#[tokio::test]
async fn the_limit_is_of_whole_messages() {
    let table: [(&str, Message, &str); 5] = [
        ("as large as may be", Message::Text("1234567890".into()), "text 10"),
        ("one byte more", Message::Text("12345678901".into()), "close 1009"),
        ("bytes, not characters", Message::Text("éééééé".into()), "close 1009"),
        ("bytes, not characters, as large as may be", Message::Text("ééééé".into()), "text 10"),
        ("in parts", Message::Binary(vec![7; 1000].into()), "bytes"),
    ];
    let table = SIDES.into_iter().flat_map(|side| table.clone().map(|row| (side, row)));
    rows(table.map(|(side, (name, message, told))| {
        (format!("{name}, {side:?}"), async move {
            let Pair { mut heard, other, mut others, .. } = LimitedClient::pair(side, "").await;
            other.send(message).await.unwrap();
            heard.expect(told).await;
            if told.starts_with("close") {
                others.expect(told).await;
            }
        })
    }))
    .await;
}
