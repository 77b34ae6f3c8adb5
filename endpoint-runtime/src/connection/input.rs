//! [`Input`]: what was read and not yet consumed.
//!
//! The buffer that reads go into belongs to the thread, not to the connection: a connection borrows it for a turn and, before it
//! goes to sleep, keeps only what is left over, which is nothing but for the beginning of a header, or for messages that wait
//! while a handler runs.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::transport::Transport;

/// Bytes that one read may bring. Large enough for a message of 64 KiB in one system call.
const BUFFER_SIZE: usize = 128 * 1024;

thread_local! {
    /// One is enough: more are in use only when a handler runs another runtime inside.
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

#[derive(Debug, Default)]
pub(super) struct Input {
    /// The thread's buffer, while this connection has its turn.
    buffer: Option<Box<[u8]>>,
    /// What is left over, while it has not.
    kept: Vec<u8>,
    /// The unconsumed bytes are `start..end` of whichever holds them.
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn new(read_ahead: &[u8]) -> Self {
        Input { buffer: None, kept: read_ahead.to_vec(), start: 0, end: read_ahead.len() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        let holder = self.buffer.as_deref_mut().unwrap_or(&mut self.kept);
        &mut holder[self.start..self.end]
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }

    pub(super) fn discard(&mut self) {
        self.start = self.end;
    }

    /// Reads more; zero bytes are the end of the stream.
    pub(super) fn poll_fill(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let left = self.end - self.start;
        if self.buffer.is_none() {
            self.buffer = Some(borrow_buffer());
            self.restore();
        } else if self.start > 0 {
            self.move_to_front();
        }
        let Some(buffer) = &mut self.buffer else { return Poll::Pending };
        let mut read = ReadBuf::new(&mut buffer[left..]);
        ready!(Pin::new(transport).poll_read(cx, &mut read))?;
        let bytes = read.filled().len();
        self.end += bytes;
        Poll::Ready(Ok(bytes))
    }

    /// Brings what was left over back into the buffer.
    #[inline]
    fn restore(&mut self) {
        if self.kept.capacity() > 0
            && let Some(buffer) = &mut self.buffer
        {
            let left = std::mem::take(&mut self.kept);
            let left = &left[self.start..self.end];
            buffer[..left.len()].copy_from_slice(left);
        }
        (self.start, self.end) = (0, self.end - self.start);
    }

    #[inline]
    fn move_to_front(&mut self) {
        if !self.is_empty()
            && let Some(buffer) = &mut self.buffer
        {
            buffer.copy_within(self.start..self.end, 0);
        }
        (self.start, self.end) = (0, self.end - self.start);
    }

    /// The turn is over: gives the buffer back to the thread.
    pub(super) fn rest(&mut self) {
        let Some(buffer) = self.buffer.take() else { return };
        if !self.is_empty() {
            self.kept = buffer[self.start..self.end].to_vec();
        }
        (self.start, self.end) = (0, self.end - self.start);
        give_back(buffer);
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            give_back(buffer);
        }
    }
}

fn borrow_buffer() -> Box<[u8]> {
    BUFFER.take().unwrap_or_else(|| vec![0; BUFFER_SIZE].into_boxed_slice())
}

fn give_back(buffer: Box<[u8]>) {
    // The thread may be at its end, with its locals gone: then the buffer goes too.
    let _ = BUFFER.try_with(|kept| kept.set(Some(buffer)));
}
