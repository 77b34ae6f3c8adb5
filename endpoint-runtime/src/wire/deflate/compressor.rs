//! [`Deflater`]: what a connection compresses with, and the compressors that threads keep.

use std::cell::RefCell;

use zlib_rs::{DeflateConfig, DeflateFlush};

use super::{TAIL, Window, scratch};

/// Compressors that a thread keeps: for windows of different sizes, or for messages in fragments at the same time.
const KEPT: usize = 4;

/// Below so many bytes the fastest way is used: it has no tables to send, and takes half the time.
const SHORT: usize = 4 * 1024;

/// How hard zlib tries. From the second level on it makes tables for each block; the levels above gain little for their time.
const FAST: i32 = 1;
const THOROUGH: i32 = 2;

/// How much zlib gathers before it makes a block of it, 2^(5 + 6) symbols; its memory is to be cleared for each message.
const MEM_LEVEL: i32 = 5;

/// By how much the buffer for what is compressed grows, at least.
const GROWTH: usize = 16 * 1024;

thread_local! {
    #[expect(clippy::vec_box, reason = "in a box they are lent out")]
    static POOL: RefCell<Vec<Box<Compressor>>> = const { RefCell::new(Vec::new()) };
}

/// Compresses what one connection sends.
#[derive(Debug)]
pub(crate) struct Deflater {
    window: Window,
    /// The compressor that the next message, or the next fragment, goes on with.
    own: Option<Box<Compressor>>,
}

impl Deflater {
    /// `None`: the program has been built without.
    pub(crate) fn new(window: Window) -> Option<Self> {
        Some(Deflater { window, own: None })
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// Compresses a whole message, and if that makes it smaller lends the result; else the message is to be sent as it is, and the peer
    /// knows as much of it as we do, which is nothing.
    pub(crate) fn message<T>(&mut self, payload: &[u8], put: impl FnOnce(&[u8]) -> T) -> Option<T> {
        if payload.is_empty() {
            return None;
        }
        let level = if payload.len() < SHORT && !self.window.takeover { FAST } else { THOROUGH };
        let mut compressor = self.own.take().unwrap_or_else(|| Compressor::borrow(self.window.bits, level));
        scratch::with(|out| {
            let size = compressor.compress(payload, out)? - TAIL.len();
            let is_smaller = size < payload.len();
            if self.window.takeover && is_smaller {
                self.own = Some(compressor);
            } else {
                compressor.give_back();
            }
            is_smaller.then(|| put(&out[..size]))
        })
    }

    /// Compresses the next fragment of a message, of which nothing may be held back; lends the result. `None`: zlib refuses, which it
    /// has no reason to.
    pub(crate) fn fragment<T>(
        &mut self,
        payload: &[u8],
        last: bool,
        put: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let mut compressor =
            self.own.take().unwrap_or_else(|| Compressor::borrow(self.window.bits, THOROUGH));
        scratch::with(|out| {
            let written = compressor.compress(payload, out)?;
            if last && !self.window.takeover {
                compressor.give_back();
            } else {
                self.own = Some(compressor);
            }
            Some(put(match out[..written].strip_suffix(&TAIL) {
                Some(stripped) if last => stripped,
                // There was nothing to add, and the tail has gone out: another empty block has its own.
                None if last => &[0x00],
                _ => &out[..written],
            }))
        })
    }
}

/// One stream of compressed data.
struct Compressor {
    stream: zlib_rs::Deflate,
    bits: u8,
    level: i32,
}

impl Compressor {
    /// One with nothing behind it: the thread's, if it has one to spare.
    fn borrow(bits: u8, level: i32) -> Box<Self> {
        let pooled = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            let fitting = pool.iter().position(|one| (one.bits, one.level) == (bits, level))?;
            Some(pool.remove(fitting))
        });
        match pooled {
            Ok(Some(mut pooled)) => {
                pooled.stream.reset();
                pooled
            }
            _ => Box::new(Self::new(bits, level)),
        }
    }

    fn new(bits: u8, level: i32) -> Self {
        let config = DeflateConfig {
            level,
            // Negative: without zlib's own header and checksum. It cannot compress for a window of 8 bits.
            window_bits: -i32::from(bits.clamp(9, 15)),
            mem_level: MEM_LEVEL,
            ..DeflateConfig::default()
        };
        Compressor { stream: zlib_rs::Deflate::new_with_config(config), bits, level }
    }

    /// The thread has its compressor back; the one that was not used for the longest time makes room.
    fn give_back(self: Box<Self>) {
        // The thread may be at its end, with its locals gone: then the compressor goes too.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() == KEPT {
                pool.remove(0);
            }
            pool.push(self);
        });
    }

    /// Compresses `input`, all of it and up to a byte's end, and says how many bytes that came to.
    ///
    /// It goes on to the end even where nothing is gained: zlib-rs does not forget, when it is reset, how far into its own buffer it was when
    /// the room for its output was over, and would run out of that buffer after some such messages.
    fn compress(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let mut written = 0;
        loop {
            if out.len() - written < GROWTH {
                out.resize(out.len() + out.len().max(GROWTH), 0);
            }
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            self.stream.compress(input, &mut out[written..], DeflateFlush::SyncFlush).ok()?;
            // No more than the slices have, so nothing is cut off.
            input = &input[(self.stream.total_in() - before_in) as usize..];
            written += (self.stream.total_out() - before_out) as usize;
            // Where there is room left, there was nothing left to be written.
            if written < out.len() {
                return Some(written);
            }
        }
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("bits", &self.bits).finish_non_exhaustive()
    }
}
