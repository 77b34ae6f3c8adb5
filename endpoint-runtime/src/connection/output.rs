//! [`Output`]: frames on their way into the socket.
//!
//! Small frames are gathered in one buffer that belongs to the thread while the connection has its turn; large payloads are
//! written from where they lie. Everything that is queued when the socket is writable goes in one call.

mod compressed;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use self::compressed::Compressing;
use super::transport::Transport;
use crate::message::{CloseCode, CloseReason};
use crate::session::outbox::{DataKind, Frame, Outgoing, Queued, Run, Shared};
use crate::session::{Journal, SendError};
use crate::wire::{self, Role, spare};

/// Goes before a message of the application that begins as a control message does.
const ESCAPE: &[u8] = b"\x01{}";

/// A payload of this size or more is not copied. Below, a copy is cheaper than a slot in a vectored write.
const LARGE: usize = 8 * 1024;

/// The longest payload whose length fits into the second byte of a header (RFC 6455 5.2).
const MAX_SHORT: u8 = 125;

/// Without a large message for so long, their memory goes back to the system.
const QUIET: Duration = Duration::from_millis(500);

/// Slices in one vectored write.
const SLICES: usize = 16;

/// The largest gathering buffer that a thread keeps.
const KEPT: usize = 256 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug)]
pub(super) struct Output {
    /// A client masks what it sends.
    role: Role,
    /// Messages of fewer bytes have the shortest header, and go out as they are. None of a client's do.
    short: u8,
    /// What is noted of messages, if the session can go on over another connection.
    journal: Option<Arc<Journal>>,
    /// What compresses messages, if that was agreed on.
    compressing: Option<Compressing>,
    /// What goes first: large payloads, and what was gathered before them.
    parts: VecDeque<Bytes>,
    /// What goes last: small frames, gathered; written up to `written`.
    small: Vec<u8>,
    written: usize,
    /// Bytes ever queued, and bytes ever written.
    queued_total: u64,
    written_total: u64,
    /// Who waits until so many bytes are written.
    receipts: VecDeque<(u64, oneshot::Sender<Result<(), SendError>>)>,
    /// The socket took no more.
    blocked: bool,
    /// The stream took everything, but has not passed it all on: TLS keeps what the socket does not take.
    unflushed: bool,
}

impl Output {
    pub(super) fn new(role: Role) -> Self {
        Output {
            role,
            short: if role == Role::Server { MAX_SHORT + 1 } else { 0 },
            journal: None,
            compressing: None,
            parts: VecDeque::new(),
            small: Vec::new(),
            written: 0,
            queued_total: 0,
            written_total: 0,
            receipts: VecDeque::new(),
            blocked: false,
            unflushed: false,
        }
    }

    /// What goes out is noted, and has headers where it needs them.
    pub(super) fn noting(mut self, journal: Option<Arc<Journal>>) -> Self {
        if journal.is_some() {
            self.short = 0;
        }
        self.journal = journal;
        self
    }

    /// Whether what goes out is noted.
    pub(super) fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.is_written() && !self.unflushed
    }

    fn is_written(&self) -> bool {
        self.queued_total == self.written_total
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> u64 {
        self.queued_total - self.written_total
    }

    /// The socket took no more when it was last asked.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(super) fn put(&mut self, queued: Queued) {
        match queued {
            Queued::One(outgoing) => self.put_one(outgoing),
            Queued::Run(run) => self.put_run(&run),
        }
    }

    fn put_one(&mut self, outgoing: Outgoing) {
        self.put_frame(outgoing.frame);
        match outgoing.done {
            // A mark behind nothing.
            Some(done) if self.is_empty() => drop(done.send(Ok(()))),
            Some(done) => self.receipts.push_back((self.queued_total, done)),
            None => {}
        }
    }

    #[inline]
    pub(super) fn put_frame(&mut self, frame: Frame) {
        match &frame {
            Frame::Text(payload) if payload.len() < usize::from(self.short) => self.put_short(0x81, payload),
            Frame::Binary(payload) if payload.len() < usize::from(self.short) => {
                self.put_short(0x82, payload);
            }
            _ => self.put_any(frame),
        }
    }

    /// A message whose length fits into the second byte of its header: what most are.
    #[inline]
    fn put_short(&mut self, first: u8, payload: &[u8]) {
        self.gather(|small| {
            small.reserve(2 + usize::from(MAX_SHORT));
            small.extend_from_slice(&[first, payload.len() as u8]);
            small.extend_from_slice(payload);
        });
    }

    #[inline(never)]
    fn put_any(&mut self, frame: Frame) {
        if self.journal.is_some() {
            self.put_header(&frame);
        }
        let is_for_it = |compressing: &Compressing| compressing.is_for(&frame);
        if !(self.compressing.as_ref().is_some_and(is_for_it) && self.put_compressed(&frame)) {
            self.put_as_it_is(frame);
        }
    }

    /// Notes what goes out, and puts what goes before it.
    #[cold]
    fn put_header(&mut self, frame: &Frame) {
        let Some(journal) = &self.journal else { return };
        let header = match frame {
            Frame::Shared(shared) => shared.header().cloned(),
            _ => None,
        };
        let marked = journal.note(frame);
        if let Some(header) = header.or_else(|| marked.then(|| Bytes::from_static(ESCAPE))) {
            self.put_as_it_is(Frame::Control(header));
        }
    }

    fn put_as_it_is(&mut self, frame: Frame) {
        let (opcode, fin, payload) = match frame {
            Frame::Text(payload) | Frame::Control(payload) => (OpCode::Data(Data::Text), true, payload),
            Frame::Binary(payload) => (OpCode::Data(Data::Binary), true, payload),
            Frame::Plain(kind, payload) => (OpCode::Data(kind.opcode()), true, payload),
            Frame::Shared(shared) => return self.put_shared(&shared),
            Frame::Fragment { kind, first, last, payload, .. } => {
                (OpCode::Data(data_opcode(kind, first)), last, payload)
            }
            Frame::Ping(payload) => (OpCode::Control(Control::Ping), true, payload),
            Frame::Pong(payload) => (OpCode::Control(Control::Pong), true, payload),
            Frame::Mark => return,
        };
        match self.role {
            Role::Server if payload.len() < LARGE => {
                self.gather(|small| wire::put_frame(small, fin, opcode, &payload));
            }
            Role::Server => {
                self.gather(|small| wire::put_header(small, fin, opcode, payload.len(), None));
                self.put_large(payload);
            }
            Role::Client => self.put_masked(fin, opcode, payload),
        }
    }

    /// What goes to many is encoded already, unless it has to be masked.
    fn put_run(&mut self, run: &Run) {
        let whole = self.role == Role::Server && self.journal.is_none() && !self.compresses(run.encoded());
        if whole {
            return self.put_encoded(run.encoded());
        }
        for message in run.messages() {
            self.put_frame(Frame::Shared(Arc::clone(message)));
        }
    }

    fn put_shared(&mut self, shared: &Shared) {
        match self.role {
            Role::Server => self.put_encoded(shared.encoded()),
            Role::Client => self.put_masked(true, OpCode::Data(shared.kind().opcode()), shared.message()),
        }
    }

    /// Puts bytes that are frames, or the rest of some, already.
    pub(super) fn put_encoded(&mut self, encoded: &Bytes) {
        if encoded.len() < LARGE {
            self.gather(|small| small.extend_from_slice(encoded));
        } else {
            self.put_large(encoded.clone());
        }
    }

    pub(super) fn put_pong(&mut self, payload: &[u8]) {
        let opcode = OpCode::Control(Control::Pong);
        match self.role {
            Role::Server => self.gather(|small| wire::put_frame(small, true, opcode, payload)),
            Role::Client => self.put_masked(true, opcode, Bytes::copy_from_slice(payload)),
        }
    }

    pub(super) fn put_close(&mut self, code: CloseCode, text: &str) {
        match self.role {
            Role::Server => self.gather(|small| wire::put_close(small, code, text)),
            Role::Client => self.put_masked_close(code, text),
        }
    }

    /// Puts a payload behind its header, or a whole frame, from where it lies.
    fn put_large(&mut self, payload: Bytes) {
        if self.written < self.small.len() {
            self.parts.push_back(Bytes::copy_from_slice(&self.small[self.written..]));
            self.small.clear();
            self.written = 0;
        }
        self.queued_total += payload.len() as u64;
        self.parts.push_back(payload);
    }

    #[inline(always)]
    fn gather(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        if self.small.capacity() == 0 {
            self.small = BUFFER.take();
        }
        let before = self.small.len();
        put(&mut self.small);
        self.queued_total += (self.small.len() - before) as u64;
    }

    /// Writes until nothing is left, or the socket takes no more.
    pub(super) fn poll_write(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_written() {
            let result = if self.parts.is_empty() {
                Pin::new(&mut *transport).poll_write(cx, &self.small[self.written..])
            } else {
                self.poll_write_parts(transport, cx)
            };
            self.blocked = result.is_pending();
            match ready!(result)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.advance(bytes),
            }
        }
        if !transport.may_keep() {
            self.blocked = false;
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(transport).poll_flush(cx);
        self.unflushed = flushed.is_pending();
        self.blocked = self.unflushed;
        flushed
    }

    #[inline(never)]
    fn poll_write_parts(&self, transport: &mut Transport, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        let small = [&self.small[self.written..]];
        let all = self.parts.iter().map(|part| &part[..]).chain(small);
        for (slot, bytes) in slices.iter_mut().zip(all) {
            *slot = IoSlice::new(bytes);
            count += 1;
        }
        Pin::new(transport).poll_write_vectored(cx, &slices[..count])
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.written_total += bytes as u64;
        if self.parts.is_empty() && self.receipts.is_empty() {
            self.written += bytes;
        } else {
            self.advance_over_parts(bytes);
        }
        if self.is_written() {
            self.small.clear();
            self.written = 0;
        }
    }

    #[inline(never)]
    fn advance_over_parts(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let Some(part) = self.parts.front_mut() else { break };
            let step = bytes.min(part.len());
            part.advance(step);
            bytes -= step;
            if part.is_empty()
                && let Some(part) = self.parts.pop_front()
            {
                give_back(part);
            }
        }
        self.written += bytes;
        while self.receipts.front().is_some_and(|(position, _)| *position <= self.written_total) {
            let Some((_, done)) = self.receipts.pop_front() else { break };
            // Nobody need wait for it.
            let _ = done.send(Ok(()));
        }
    }

    /// The turn is over: gives the buffer back to the thread, and keeps only what the socket did not take.
    pub(super) fn rest(&mut self) {
        if self.small.capacity() > 0 {
            self.rest_buffer();
        }
        if self.parts.is_empty() && self.parts.capacity() > 0 {
            self.parts = VecDeque::new();
        }
        if self.receipts.is_empty() && self.receipts.capacity() > 0 {
            self.receipts = VecDeque::new();
        }
    }

    #[inline]
    fn rest_buffer(&mut self) {
        let mut buffer = std::mem::take(&mut self.small);
        if self.written < buffer.len() {
            self.small = buffer[self.written..].to_vec();
        }
        self.written = 0;
        if buffer.capacity() <= KEPT {
            buffer.clear();
            // The thread may be at its end, with its locals gone: then the buffer goes too.
            let _ = BUFFER.try_with(|kept| kept.set(buffer));
        }
    }

    /// The connection has ended: who waits learns it.
    pub(super) fn abandon(&mut self, reason: &CloseReason) {
        for (_, done) in self.receipts.drain(..) {
            let _ = done.send(Err(SendError::Closed(reason.clone())));
        }
        self.parts.clear();
        self.small = Vec::new();
        self.written = 0;
        self.written_total = self.queued_total;
        self.unflushed = false;
    }
}

/// What a client sends: each frame masked with a key of its own, which nobody can foresee (RFC 6455 10.3).
impl Output {
    fn put_masked(&mut self, fin: bool, opcode: OpCode, payload: Bytes) {
        let key = rand::random();
        if payload.len() < LARGE {
            return self.gather(|small| wire::put_masked(small, fin, opcode, &payload, key));
        }
        self.gather(|small| wire::put_header(small, fin, opcode, payload.len(), Some(key)));
        // What nobody else holds is masked where it lies; of what others hold, and will read, there must be a copy.
        let masked = match payload.try_into_mut() {
            Ok(mut own) => {
                wire::mask_in_place(&mut own, key);
                own.freeze()
            }
            Err(shared) => {
                let mut copy = Vec::new();
                wire::mask_into(&mut copy, &shared, key);
                copy.into()
            }
        };
        self.put_large(masked);
    }

    fn put_masked_close(&mut self, code: CloseCode, text: &str) {
        let key = rand::random();
        self.gather(|small| wire::put_masked_close(small, code, text, key));
    }
}

/// Gives back what a payload lay in, if it is nobody else's: see [`spare`].
fn give_back(payload: Bytes) {
    if payload.is_unique() {
        let block = Vec::from(payload);
        if block.capacity() >= spare::LARGE
            && let Some(sweeper) = spare::keep(block)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(sweep(sweeper));
        }
    }
}

/// Until no large message has come or gone for a while.
async fn sweep(sweeper: spare::Sweeper) {
    while sweeper.is_needed() {
        tokio::time::sleep(QUIET).await;
    }
}

/// The opcode of a fragment: only the first says what the message is (RFC 6455 5.4).
fn data_opcode(kind: DataKind, first: bool) -> Data {
    if first { kind.opcode() } else { Data::Continue }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;

    use super::*;

    #[test]
    fn nothing_is_kept_of_what_is_written() {
        let (ours, _theirs) = tokio::io::duplex(1 << 20);
        let mut transport = Transport::Memory(ours);
        let mut output = Output::new(Role::Server);
        let long = Bytes::from(vec![b'x'; 2 * LARGE]);
        // Headers and payloads; and a whole frame, of which nothing goes into the buffer.
        let (done, mut receipt) = oneshot::channel();
        output.put(Queued::One(Outgoing { frame: Frame::Binary(long.clone()), done: Some(done) }));
        output.put(Queued::One(Outgoing { frame: Frame::Text("short".into()), done: None }));
        for _ in 0..2 {
            let written = output.poll_write(&mut transport, &mut Context::from_waker(noop_waker_ref()));
            assert!(matches!(written, Poll::Ready(Ok(()))) && output.is_empty());
            output.rest();
            assert_eq!((output.small.capacity(), output.parts.capacity()), (0, 0));
            assert_eq!(output.receipts.capacity(), 0);
            output.put_encoded(&long);
        }
        assert_eq!(receipt.try_recv().unwrap().ok(), Some(()));
    }
}
