//! A message that arrives in pieces: fragments, or parts of one frame that came with different reads.

use std::borrow::Cow;
use std::mem;

use super::decoder::Step;
use super::spare;
use super::text::{NotUtf8, Text};
use super::violation::Violation;

/// The most memory that an announced length alone may claim. What lies beyond is claimed as bytes arrive, so that
/// fourteen bytes from a peer cannot cost us megabytes.
const FIRST_CLAIM: usize = 128 * 1024;

/// What there is of the message.
#[derive(Debug, Default)]
pub(super) enum Assembly {
    /// No message has begun.
    #[default]
    None,
    Text(Text),
    Binary(Vec<u8>),
    /// Binary data in parts, of which nothing is kept.
    Parts,
}

/// What is known about the rest of a message when a piece of it arrives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlook {
    /// What the frame still announces, in bytes, this piece included.
    pub(super) announced: usize,
    /// Whether the frame is the message's last.
    pub(super) last_frame: bool,
    /// The most that the message may have, in bytes.
    pub(super) limit: usize,
}

impl Assembly {
    /// How many bytes of the message have been received.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::None | Self::Parts => 0,
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// How many bytes of heap are held.
    pub(super) fn capacity(&self) -> usize {
        match self {
            Self::None | Self::Parts => 0,
            Self::Text(text) => text.capacity(),
            Self::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Appends a piece (already unmasked).
    pub(super) fn append(&mut self, piece: &[u8], outlook: Outlook) -> Result<(), Violation> {
        if self.capacity().saturating_sub(self.len()) < piece.len() {
            self.reserve_exact(outlook, piece.len());
        }
        match self {
            Self::None | Self::Parts => Ok(()),
            Self::Text(text) => text.push(piece).map_err(not_utf8),
            Self::Binary(bytes) => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Hands the finished message over, memory and all; nothing of it stays here.
    pub(super) fn deliver(&mut self) -> Result<Step<'static>, Violation> {
        match mem::take(self) {
            Self::None | Self::Parts => Ok(Step::Incomplete), // nothing to hand over
            Self::Text(text) => text.finish().map(|text| Step::Text(Cow::Owned(text))).map_err(not_utf8),
            Self::Binary(bytes) => Ok(Step::Binary(Cow::Owned(bytes))),
        }
    }

    /// Hands the finished message over with its last piece. One that is all of it is copied, to memory of just the size.
    pub(super) fn deliver_with(
        &mut self,
        piece: &[u8],
        outlook: Outlook,
    ) -> Result<Step<'static>, Violation> {
        match self {
            Self::Text(text) if text.len() == 0 => {
                *self = Self::None;
                let text = simdutf8::basic::from_utf8(piece).map_err(|_| not_utf8(NotUtf8))?;
                Ok(Step::Text(Cow::Owned(text.to_owned())))
            }
            Self::Binary(bytes) if bytes.is_empty() => {
                *self = Self::None;
                Ok(Step::Binary(Cow::Owned(piece.to_owned())))
            }
            _ => {
                self.append(piece, outlook)?;
                self.deliver()
            }
        }
    }

    /// Hands a piece on (already unmasked) that is a part by itself; `None` if nothing of it can be read yet.
    pub(super) fn part<'p>(&mut self, piece: &'p [u8], last: bool) -> Result<Option<Step<'p>>, Violation> {
        let step = match self {
            Self::Text(text) => {
                let part = text.pass(piece).map_err(not_utf8)?;
                if last && text.len() > 0 {
                    return Err(not_utf8(NotUtf8));
                }
                (last || !part.is_empty()).then_some(Step::TextPart(part, last))
            }
            _ => (last || !piece.is_empty()).then_some(Step::BinaryPart(Cow::Borrowed(piece), last)),
        };
        if last {
            *self = Self::None;
        }
        Ok(step)
    }

    fn reserve_exact(&mut self, outlook: Outlook, piece: usize) {
        let additional = outlook.claim(self.len(), piece);
        // A block that is there already costs nothing, whatever the peer goes on to send.
        let spare = if self.capacity() == 0 { spare::take(outlook.announced) } else { None };
        match (self, spare) {
            (Self::None | Self::Parts, _) => {}
            (Self::Text(text), Some(block)) => text.lie_in(block),
            (Self::Binary(bytes), Some(block)) => *bytes = block,
            (Self::Text(text), None) => text.reserve_exact(additional),
            (Self::Binary(bytes), None) => bytes.reserve_exact(additional),
        }
    }
}

impl Outlook {
    /// How much more memory to claim for a message that has `len` bytes and now gets `piece` more. Doubling keeps the
    /// copying linear; what the frame announces, or failing that the limit, keeps the doubling from overshooting.
    fn claim(self, len: usize, piece: usize) -> usize {
        let doubled = len.max(FIRST_CLAIM).min(self.announced);
        let for_more_frames = if self.last_frame { 0 } else { len.min(self.limit.saturating_sub(len)) };
        doubled.max(for_more_frames).max(piece)
    }
}

#[cold]
fn not_utf8(_: NotUtf8) -> Violation {
    Violation::not_utf8("text message is not UTF-8")
}
