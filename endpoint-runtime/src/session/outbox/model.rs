//! The outbox's protocol under many orders of events: one task takes out and writes, several threads put in, and write past it.
//!
//! Run by `RUSTFLAGS='--cfg shuttle' cargo test -p endpoint-runtime --lib outbox::model`. A wake-up that is lost is a deadlock there;
//! two writers at a time, and whatever is lost, cut or out of order, show in what the socket got.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::{Broadcast, DataKind, Frame, Outbox, Outgoing, Queued, Run, Shared};
use crate::message::CloseReason;
use crate::settings::Overflow;

const LIMIT: usize = 1 << 20;
const SENDERS: u8 = 3;
const TURNS: u8 = 2;
/// Each turn: two broadcasts, and a message between them in every second one.
const MESSAGES: usize = SENDERS as usize * (TURNS as usize * 2 + TURNS as usize / 2);
/// A frame: two bytes of header, the sender, and the number of the message.
const FRAME: usize = 4;

/// What stands for the socket: now and then it takes a part only, or nothing.
#[derive(Default)]
struct Wire {
    got: Mutex<(Vec<u8>, usize)>,
    grown: Condvar,
}

impl Wire {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut got = self.got.lock().unwrap();
        got.1 += 1;
        let taken = match got.1 % 5 {
            1 => bytes.len().div_ceil(2),
            3 => return Err(io::ErrorKind::WouldBlock.into()),
            _ => bytes.len(),
        };
        got.0.extend_from_slice(&bytes[..taken]);
        self.grown.notify_all();
        Ok(taken)
    }

    fn wait_for_all(&self) {
        let mut got = self.got.lock().unwrap();
        while got.0.len() < MESSAGES * FRAME {
            got = self.grown.wait(got).unwrap();
        }
    }

    fn check(&self) {
        let got = self.got.lock().unwrap();
        let mut next = [0; SENDERS as usize];
        for frame in got.0.chunks(FRAME) {
            let [0x81, 2, sender, number] = *frame else { panic!("{frame:?} in {:?}", got.0) };
            let next = &mut next[usize::from(sender)];
            assert_eq!(number, *next, "of {sender}, in {:?}", got.0);
            *next += 1;
        }
        assert_eq!(got.0.len(), MESSAGES * FRAME);
    }
}

/// What a connection's task does, as `connection::link` does it.
async fn task(outbox: &Outbox, wire: &Wire) -> CloseReason {
    let (mut output, mut holds, mut closed) = (Vec::new(), false, None);
    poll_fn(|cx| {
        loop {
            if !std::mem::replace(&mut holds, true)
                && let Some(rest) = outbox.hold()
            {
                output.extend_from_slice(&rest);
            }
            if outbox.has_news() {
                closed = outbox.take(usize::MAX, |queued| match queued {
                    Queued::One(one) => {
                        output.extend_from_slice(Shared::new(DataKind::Text, one.frame.payload()).encoded());
                    }
                    Queued::Run(run) => output.extend_from_slice(run.encoded()),
                });
            }
            let blocked = match wire.write(&output) {
                Ok(bytes) => {
                    output.drain(..bytes);
                    !output.is_empty()
                }
                Err(_) => true,
            };
            if blocked {
                // The socket will say when it takes more; until then the task has it.
                cx.waker().wake_by_ref();
                outbox.register(cx);
                return Poll::Pending;
            }
            if let Some(reason) = closed.take() {
                return Poll::Ready(reason);
            }
            outbox.register(cx);
            outbox.release();
            holds = false;
            if !outbox.has_news() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Sends in turns: what the messages of a turn left to be written is written at its end.
fn sender(sender: u8, outbox: &Outbox, wire: &Wire, last: &Mutex<Option<Arc<Run>>>) {
    let mut numbers = 0..;
    let mut next = || [sender, numbers.next().unwrap_or(u8::MAX)];
    for turn in 0..TURNS {
        let mut noted = false;
        for first in [true, false] {
            let message = Shared::new(DataKind::Text, &next());
            let mut broadcast = Broadcast::new(Arc::new(message), last.lock().unwrap().clone());
            let note = || {
                noted = true;
                true
            };
            outbox.push_broadcast(&mut broadcast, LIMIT, Overflow::Disconnect, note).unwrap();
            *last.lock().unwrap() = Some(broadcast.last());
            if first && turn % 2 == 1 {
                let frame = Frame::Text(next().to_vec().into());
                outbox.try_push(Outgoing { frame, done: None }, LIMIT).unwrap();
            }
        }
        if noted {
            outbox.write_by(Instant::now(), |_, frames| wire.write(frames));
        }
    }
}

/// Something to be lent. Nothing is written to it.
fn socket(runtime: &Runtime) -> OwnedWriteHalf {
    let _context = runtime.enter();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = std::net::TcpStream::connect(socket.local_addr().unwrap()).unwrap();
    stream.set_nonblocking(true).unwrap();
    TcpStream::from_std(stream).unwrap().into_split().1
}

fn everything_arrives_once_whole_and_in_order(runtime: &Runtime) {
    let outbox = Arc::new(Outbox::default());
    let wire = Arc::new(Wire::default());
    let last = Arc::new(Mutex::new(None));
    outbox.lend(socket(runtime));
    let connection = {
        let (outbox, wire) = (Arc::clone(&outbox), Arc::clone(&wire));
        thread::spawn(move || shuttle::future::block_on(task(&outbox, &wire)))
    };
    for number in 0..SENDERS {
        let (outbox, wire, last) = (Arc::clone(&outbox), Arc::clone(&wire), Arc::clone(&last));
        thread::spawn(move || sender(number, &outbox, &wire, &last));
    }
    // Nothing but what was queued wakes the task.
    wire.wait_for_all();
    assert!(outbox.close(&CloseReason::normal(), false));
    assert_eq!(connection.join().unwrap(), CloseReason::normal());
    wire.check();
    let late = Outgoing { frame: Frame::Text("late".into()), done: None };
    assert!(outbox.try_push(late, LIMIT).is_err());
}

#[test]
fn in_random_orders() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let runtime = Arc::new(runtime);
    shuttle::check_random(move || everything_arrives_once_whole_and_in_order(&runtime), 3_000);
}

#[test]
fn in_orders_with_few_switches() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let runtime = Arc::new(runtime);
    shuttle::check_pct(move || everything_arrives_once_whole_and_in_order(&runtime), 3_000, 4);
}
