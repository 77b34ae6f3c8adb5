//! Compressed messages (RFC 7692 7.2.2): nothing of what arrives is kept, and what it comes to is measured as it is inflated.

use super::super::deflate::{Corrupt, Inflater, scratch};
use super::{Decoder, Delivery, Outlook, PART, Role, Step, Violation};

impl Decoder {
    /// Takes the next piece of a compressed frame; says how much of it was used, and returns the message if it ends with it, or a part.
    ///
    /// A message in parts may come to more than one for a piece: then what is not used is as it was, and [`Decoder::owes`] may be set.
    #[inline(never)]
    pub(super) fn inflate(&mut self, piece: &mut [u8]) -> Result<(usize, Option<Step<'static>>), Violation> {
        let Some(mut inflater) = self.inflater.take() else { return Err(corrupt(Corrupt)) };
        let (mut key, arrived) = (self.key, piece.len());
        if self.role == Role::Server {
            self.key.apply(piece);
        }
        let (used, step) = scratch::with(|out| {
            if out.len() < PART {
                out.resize(PART, 0);
            }
            match self.current.get() {
                Delivery::Whole(limit) => Ok((arrived, self.inflate_all(&mut inflater, piece, out, limit)?)),
                Delivery::Parts => self.inflate_part(&mut inflater, piece, &mut out[..PART]),
            }
        })?;
        if used < arrived && self.role == Role::Server {
            key.skip(used);
            self.key = key;
            key.apply(&mut piece[used..]);
        }
        if self.is_amid_message() {
            self.inflater = Some(inflater);
        } else {
            self.inflater = inflater.rest();
            self.compressed = false;
        }
        Ok((used, step))
    }

    /// Inflates all of a piece, as far as the limit allows.
    fn inflate_all(
        &mut self,
        inflater: &mut Inflater,
        piece: &[u8],
        out: &mut [u8],
        limit: usize,
    ) -> Result<Option<Step<'static>>, Violation> {
        self.owed -= piece.len() as u64;
        let last = self.owed == 0 && self.last_frame;
        let mut rest = piece;
        loop {
            let room = limit.saturating_sub(self.assembly.len());
            // One byte more than may come, to see it.
            let most = room.saturating_add(1).min(out.len());
            let (used, written) = inflater.inflate(rest, &mut out[..most]).map_err(corrupt)?;
            rest = &rest[used..];
            if written > room {
                // What is no text up to here is no text, however the message arrives.
                self.assembly.append(&out[..room], Outlook { announced: room, last_frame: false, limit })?;
                return Err(Violation::too_large(limit));
            }
            let drained = written < most;
            let outlook = Outlook { announced: written, last_frame: last && drained, limit };
            if drained && last {
                inflater.finish().map_err(corrupt)?;
                return self.assembly.deliver_with(&out[..written], outlook).map(Some);
            }
            self.assembly.append(&out[..written], outlook)?;
            if drained {
                return Ok(None);
            }
        }
    }

    /// Inflates what makes one part.
    fn inflate_part(
        &mut self,
        inflater: &mut Inflater,
        piece: &[u8],
        out: &mut [u8],
    ) -> Result<(usize, Option<Step<'static>>), Violation> {
        let (used, written) = inflater.inflate(piece, out).map_err(corrupt)?;
        self.owed -= used as u64;
        self.owes = written == out.len();
        let last = self.owed == 0 && self.last_frame && !self.owes;
        if last {
            inflater.finish().map_err(corrupt)?;
        }
        let step = self.assembly.part(&out[..written], last)?;
        Ok((used, step.map(Step::into_owned)))
    }
}

#[cold]
fn corrupt(_: Corrupt) -> Violation {
    Violation::corrupt("compressed data is corrupt")
}
