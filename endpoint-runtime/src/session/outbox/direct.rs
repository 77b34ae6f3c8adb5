//! [`Direct`]: the way from a broadcast into the socket, past the connection's task.
//!
//! The task lends its socket to the outbox. Whoever has queued broadcasts may then write them out, if nothing else is queued and the task has
//! nothing to write. Flags see to that: [`TASK`] says that the task writes, now or when the socket takes more; [`DIRECT`] that somebody
//! else does. The task sets [`TASK`] before it puts anything where it goes out, and clears it when all is written. [`DIRECT`] is set only where
//! [`TASK`] is not, and under the lock, which is held until the socket has answered; a task that finds it set waits for the lock. So
//! there is one writer at a time. If the socket takes a part only, [`TASK`] is set in the task's name, and the rest
//! is the first thing that goes out.

use std::io;
use std::sync::atomic::Ordering;
use std::task::Waker;

use bytes::Bytes;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;

use super::{ANNOUNCED, Outbox, PENDING, State};

/// The connection's task writes.
const TASK: u8 = 8;
/// Somebody else writes.
const DIRECT: u8 = 16;
/// Somebody else wrote a part, and the task is to write the rest.
const CUT: u8 = 64;
/// Whatever says who writes.
pub(super) const WRITER: u8 = TASK | DIRECT | CUT;

#[derive(Debug)]
pub(super) struct Direct {
    socket: OwnedWriteHalf,
    /// What the socket did not take, for the task.
    rest: Bytes,
    /// When something last went this way.
    wrote: Option<Instant>,
}

/// What came of a direct write.
enum Written {
    All,
    Part,
    Nothing,
}

impl State {
    /// Whether all that waits is broadcasts, which may go directly.
    pub(super) fn is_direct(&self) -> bool {
        self.direct.is_some() && self.queue.is_empty() && self.run.is_some() && self.closed.is_none()
    }

    /// Writes the broadcasts that wait.
    fn write_run(
        &mut self,
        now: Instant,
        write: impl FnOnce(&OwnedWriteHalf, &[u8]) -> io::Result<usize>,
    ) -> Written {
        let (Some(direct), Some(run)) = (&mut self.direct, &self.run) else { return Written::Nothing };
        let frames = run.encoded();
        let written = match write(&direct.socket, frames) {
            Ok(bytes) if bytes < frames.len() => {
                direct.rest = frames.slice(bytes..);
                Written::Part
            }
            Ok(_) => Written::All,
            // Whatever is wrong, the task will see it, and do what is to be done.
            Err(_) => return Written::Nothing,
        };
        direct.wrote = Some(now);
        self.run = None;
        self.bytes = 0;
        self.credit.settle(0);
        written
    }
}

impl Outbox {
    /// Writes out the broadcasts that wait, if the socket can be had and takes them; else the connection's task is told.
    pub(crate) fn write_directly(&self, now: Instant) {
        self.write_by(now, OwnedWriteHalf::try_write);
    }

    /// [`write_directly`](Self::write_directly), in whichever way one writes.
    pub(super) fn write_by(
        &self,
        now: Instant,
        write: impl FnOnce(&OwnedWriteHalf, &[u8]) -> io::Result<usize>,
    ) {
        let mut state = self.state();
        if state.is_empty() {
            return;
        }
        if !state.is_direct() || !self.occupy() {
            drop(state);
            return self.announce();
        }
        let written = state.write_run(now, write);
        let waiting = match written {
            Written::Nothing => Vec::new(),
            Written::All | Written::Part => {
                self.flags.fetch_and(!(PENDING | ANNOUNCED), Ordering::AcqRel);
                std::mem::take(&mut state.waiting)
            }
        };
        if let Written::Part = written {
            self.flags.fetch_or(TASK | CUT, Ordering::AcqRel);
        }
        self.flags.fetch_and(!DIRECT, Ordering::AcqRel);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        match written {
            Written::All => {}
            Written::Part => self.wake(),
            Written::Nothing => self.announce(),
        }
    }

    /// Takes the socket, unless the task has it.
    fn occupy(&self) -> bool {
        let free = |flags| (flags & TASK == 0).then_some(flags | DIRECT);
        self.flags.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).is_ok()
    }

    // What follows is for the connection's task alone.

    /// Lends the socket out: from now on the task says when it writes itself.
    pub(crate) fn lend(&self, socket: OwnedWriteHalf) {
        self.state().direct = Some(Box::new(Direct { socket, rest: Bytes::new(), wrote: None }));
    }

    /// Takes the socket back for good. The task has it, or is at its end.
    pub(crate) fn take_back(&self) -> Option<OwnedWriteHalf> {
        self.state().direct.take().map(|direct| direct.socket)
    }

    /// The task is going to write: nobody else does, until [`release`](Self::release). What comes back goes first.
    pub(crate) fn hold(&self) -> Option<Bytes> {
        if self.flags.fetch_or(TASK, Ordering::AcqRel) & (DIRECT | CUT) == 0 {
            return None;
        }
        // Whoever is writing has the lock until that is done.
        let mut state = self.state();
        self.flags.fetch_and(!CUT, Ordering::AcqRel);
        let rest = state.direct.as_mut().map(|direct| std::mem::take(&mut direct.rest));
        rest.filter(|rest| !rest.is_empty())
    }

    /// The task has written all it had.
    pub(crate) fn release(&self) {
        self.flags.fetch_and(!TASK, Ordering::AcqRel);
    }

    /// When something last went past the task.
    pub(crate) fn wrote_directly(&self) -> Option<Instant> {
        self.state().direct.as_ref().and_then(|direct| direct.wrote)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Context, Wake};

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::{Broadcast, DataKind, Frame, Outgoing, Shared};
    use super::*;
    use crate::message::CloseReason;
    use crate::settings::Overflow;

    /// How often the task was woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const LIMIT: usize = 64 << 20;

    /// An outbox that was lent a socket, and the other end of it.
    async fn lent() -> (Outbox, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (read, write) = listener.accept().await.unwrap().0.into_split();
        read.as_ref().writable().await.unwrap();
        // Both halves share the socket; nobody reads here.
        drop(read);
        let outbox = Outbox::default();
        outbox.lend(write);
        (outbox, peer)
    }

    fn push(outbox: &Outbox, text: &str) {
        let mut broadcast = Broadcast::new(Arc::new(Shared::new(DataKind::Text, text.as_bytes())), None);
        outbox.push_broadcast(&mut broadcast, LIMIT, Overflow::Disconnect, || true).unwrap();
    }

    async fn expect(peer: &mut TcpStream, text: &str) {
        let mut bytes = vec![0; Shared::new(DataKind::Text, text.as_bytes()).encoded().len()];
        peer.read_exact(&mut bytes).await.unwrap();
        assert!(bytes.ends_with(text.as_bytes()));
    }

    #[tokio::test]
    async fn a_broadcast_goes_past_the_task() {
        let (outbox, mut peer) = lent().await;
        push(&outbox, "a");
        outbox.write_directly(Instant::now());
        assert!(!outbox.has_news() && outbox.is_clear());
        assert_eq!(outbox.queued_bytes(), 0);
        expect(&mut peer, "a").await;
        assert!(outbox.wrote_directly().is_some());
        assert_eq!(outbox.hold(), None);
    }

    /// A queue that is full only because nobody has written yet is no reason to refuse anything.
    #[tokio::test]
    async fn what_waits_is_written_before_it_is_too_much() {
        let (outbox, mut peer) = lent().await;
        let long = "x".repeat(1000);
        for _ in 0..3 {
            let mut broadcast = Broadcast::new(Arc::new(Shared::new(DataKind::Text, long.as_bytes())), None);
            outbox.push_broadcast(&mut broadcast, 1500, Overflow::Disconnect, || true).unwrap();
        }
        expect(&mut peer, &long).await;
        expect(&mut peer, &long).await;
        assert!(outbox.has_news(), "the last one waits for the end of the turn");
        assert_eq!((outbox.dropped(), outbox.closed()), (0, None));
    }

    /// What cannot be joined is the task's to write, which need not wait for the end of a turn to learn that.
    #[tokio::test]
    async fn the_task_is_told_at_once_of_what_cannot_go_past_it() {
        let (outbox, mut peer) = lent().await;
        let count = Arc::new(Count::default());
        outbox.register(&Context::from_waker(&Arc::clone(&count).into()));
        push(&outbox, "a");
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        push(&outbox, "b");
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        outbox.write_directly(Instant::now());
        assert!(outbox.has_news(), "nobody else has written");
        let mut frames = Vec::new();
        outbox.take(usize::MAX, |queued| frames.push(queued));
        assert_eq!(frames.len(), 2);
        push(&outbox, "c");
        outbox.write_directly(Instant::now());
        expect(&mut peer, "c").await;
    }

    #[tokio::test]
    async fn nothing_goes_past_a_task_that_writes() {
        let (outbox, mut peer) = lent().await;
        assert_eq!(outbox.hold(), None);
        push(&outbox, "a");
        outbox.write_directly(Instant::now());
        assert!(outbox.has_news());
        outbox.release();
        outbox.write_directly(Instant::now());
        assert!(!outbox.has_news());
        expect(&mut peer, "a").await;
    }

    #[tokio::test]
    async fn nothing_goes_past_what_is_the_tasks_to_write() {
        let (outbox, _peer) = lent().await;
        outbox.try_push(Outgoing { frame: Frame::Text("one".into()), done: None }, LIMIT).unwrap();
        push(&outbox, "a");
        outbox.write_directly(Instant::now());
        let mut count = 0;
        outbox.take(usize::MAX, |_| count += 1);
        assert_eq!(count, 2);
        push(&outbox, "b");
        outbox.close(&CloseReason::normal(), false);
        outbox.write_directly(Instant::now());
        outbox.take(usize::MAX, |_| count += 1);
        assert_eq!(count, 3);
    }

    #[tokio::test]
    async fn what_a_socket_does_not_take_is_the_first_that_the_task_writes() {
        let (outbox, mut peer) = lent().await;
        let long = "x".repeat(32 << 20);
        push(&outbox, &long);
        outbox.write_directly(Instant::now());
        assert!(!outbox.has_news());
        push(&outbox, "behind");
        // Nobody else may write now.
        outbox.write_directly(Instant::now());
        assert!(outbox.has_news());
        let rest = outbox.hold().unwrap();
        let mut begin = vec![0; 10 + long.len() - rest.len()];
        peer.read_exact(&mut begin).await.unwrap();
        assert_eq!(begin[0], 0x81);
        assert!(rest.iter().chain(&begin[10..]).all(|byte| *byte == b'x'));
        assert_eq!(outbox.hold(), None);
    }
}
