//! [`Inflater`]: compressed bytes in, as they arrive, and the message out, as much at a time as there is room for.

use std::cell::RefCell;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::{Corrupt, TAIL, Window};

/// Inflaters that a thread keeps. More than one are in use only while messages are incomplete.
const KEPT: usize = 2;

/// The largest window there is, so that whatever the peer uses is understood.
const WINDOW_BITS: u8 = 15;

thread_local! {
    #[expect(clippy::vec_box, reason = "in a box they are lent out")]
    static POOL: RefCell<Vec<Box<Inflater>>> = const { RefCell::new(Vec::new()) };
}

/// Inflates one message after the other.
pub(in super::super) struct Inflater {
    stream: Inflate,
    /// Whether a message may refer to those before it.
    takeover: bool,
    /// Whether the message has any bytes.
    begun: bool,
    /// Whether they ended, so far, with a block that says that it is the last (RFC 7692 7.2.3.4).
    ended: bool,
}

impl Inflater {
    /// One that reads a peer's messages from now on: the thread's, if it has one to spare. `None`: the program has been built without.
    pub(in super::super) fn borrow(window: Window) -> Option<Box<Self>> {
        let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        let mut inflater = match pooled {
            Some(mut pooled) => {
                pooled.stream.reset(false);
                pooled
            }
            None => {
                let stream = Inflate::new(false, WINDOW_BITS);
                Box::new(Inflater { stream, takeover: false, begun: false, ended: false })
            }
        };
        (inflater.takeover, inflater.begun, inflater.ended) = (window.takeover, false, false);
        Some(inflater)
    }

    /// The message has ended. The thread has its inflater back, unless the next message may refer to this one.
    pub(in super::super) fn rest(mut self: Box<Self>) -> Option<Box<Self>> {
        if self.takeover {
            self.begun = false;
            return Some(self);
        }
        // The thread may be at its end, with its locals gone: then the inflater goes too.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < KEPT {
                pool.push(self);
            }
        });
        None
    }

    /// Inflates what has arrived of the message; says how many bytes of it were used, and how many written to `out`. All were used, and
    /// all that they mean was written, unless `out` is full: then there may be more to write even when all were used.
    pub(in super::super) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<(usize, usize), Corrupt> {
        let (mut used, mut written) = (0, 0);
        self.begun |= !input.is_empty();
        loop {
            if self.ended {
                if used == input.len() {
                    return Ok((used, written));
                }
                // Who says that a block is the last begins anew behind it, and so do we.
                self.stream.reset(false);
                self.ended = false;
            }
            let (more_used, more_written) =
                self.step(&input[used..], &mut out[written..], InflateFlush::SyncFlush)?;
            (used, written) = (used + more_used, written + more_written);
            if used == input.len() || written == out.len() {
                return Ok((used, written));
            }
            if more_used == 0 && !self.ended {
                return Err(Corrupt);
            }
        }
    }

    /// Makes sure, when all was used and written, that the message ends here and does not break off.
    ///
    /// The four bytes that the peer has cut off are the end of a block, and it stops there: anywhere else they would mean something, and
    /// it would stop before or go on into what stands behind them.
    pub(in super::super) fn finish(&mut self) -> Result<(), Corrupt> {
        // An empty message need not be compressed to anything, and behind a last block nothing was cut off.
        if !self.begun || self.ended {
            return Ok(());
        }
        let [a, b, c, d] = TAIL;
        let end = [a, b, c, d, 0x00, a, b, c, d];
        let (used, written) = self.step(&end, &mut [0], InflateFlush::Block)?;
        if used == TAIL.len() && written == 0 { Ok(()) } else { Err(Corrupt) }
    }

    fn step(&mut self, input: &[u8], out: &mut [u8], flush: InflateFlush) -> Result<(usize, usize), Corrupt> {
        let (used, written) = (self.stream.total_in(), self.stream.total_out());
        let status = self.stream.decompress(input, out, flush);
        // No more than the slices have, so nothing is cut off.
        let (used, written) =
            ((self.stream.total_in() - used) as usize, (self.stream.total_out() - written) as usize);
        self.ended = match status {
            Ok(status) => status == Status::StreamEnd,
            // It looks ahead when there is no more room. What lies before the fault counts first, as if the rest had not arrived yet;
            // asked for more, it says the same again.
            Err(_) if !out.is_empty() && written == out.len() => false,
            Err(_) => return Err(Corrupt),
        };
        Ok((used, written))
    }
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").field("takeover", &self.takeover).finish_non_exhaustive()
    }
}
