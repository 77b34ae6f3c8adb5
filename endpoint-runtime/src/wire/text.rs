//! Text that arrives in pieces cut anywhere, inside a code point too, and is known to be UTF-8 at every moment.

use std::borrow::Cow;

/// The bytes cannot be UTF-8, whatever would follow them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// The text of a message so far.
///
/// Everything decided lies in a `String`; of a code point that is still being received, up to three bytes wait beside
/// it. So each byte is checked once, and a message that went wrong is found out by the first byte that shows it.
#[derive(Debug, Default)]
pub(super) struct Text {
    decided: String,
    waiting: [u8; 3],
    waiting_len: u8,
}

impl Text {
    /// How many bytes have been received.
    pub(super) fn len(&self) -> usize {
        self.decided.len() + usize::from(self.waiting_len)
    }

    /// How many bytes of heap are held.
    pub(super) fn capacity(&self) -> usize {
        self.decided.capacity()
    }

    /// Makes room for exactly `additional` bytes beyond the decided ones.
    pub(super) fn reserve_exact(&mut self, additional: usize) {
        self.decided.reserve_exact(additional + usize::from(self.waiting_len));
    }

    /// Lies in this empty block from now on; nothing is decided yet.
    pub(super) fn lie_in(&mut self, block: Vec<u8>) {
        self.decided = String::from_utf8(block).unwrap_or_default();
    }

    /// Appends a piece, or says that no continuation could make it UTF-8.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), NotUtf8> {
        let piece = self.complete_waiting(piece)?;
        let (whole, cut) = piece.split_at(last_boundary(piece));
        self.decided.push_str(simdutf8::basic::from_utf8(whole).map_err(|_| NotUtf8)?);
        if !cut.is_empty() {
            self.wait_for_more(cut)?;
        }
        Ok(())
    }

    /// Passes a piece on, as far as it is decided, together with what waited before it: nothing stays here but the beginning of a code
    /// point. Or says that no continuation could make it UTF-8.
    pub(super) fn pass<'p>(&mut self, piece: &'p [u8]) -> Result<Cow<'p, str>, NotUtf8> {
        if self.waiting_len > 0 {
            self.push(piece)?;
            return Ok(Cow::Owned(std::mem::take(&mut self.decided)));
        }
        let (whole, cut) = piece.split_at(last_boundary(piece));
        let whole = simdutf8::basic::from_utf8(whole).map_err(|_| NotUtf8)?;
        if !cut.is_empty() {
            self.wait_for_more(cut)?;
        }
        Ok(Cow::Borrowed(whole))
    }

    /// The whole text; refused when it ends inside a code point.
    pub(super) fn finish(self) -> Result<String, NotUtf8> {
        if self.waiting_len == 0 { Ok(self.decided) } else { Err(NotUtf8) }
    }

    /// Gives the waiting code point the bytes that it lacks and returns what is left of `piece`.
    fn complete_waiting<'p>(&mut self, piece: &'p [u8]) -> Result<&'p [u8], NotUtf8> {
        if self.waiting_len == 0 {
            return Ok(piece);
        }
        let held = usize::from(self.waiting_len);
        let lacking = width(self.waiting[0]) - held;
        let (missing, rest) = piece.split_at(lacking.min(piece.len()));
        let mut point = [0; 4];
        point[..held].copy_from_slice(&self.waiting[..held]);
        point[held..held + missing.len()].copy_from_slice(missing);
        let point = &point[..held + missing.len()];
        if missing.len() == lacking {
            self.decided.push_str(std::str::from_utf8(point).map_err(|_| NotUtf8)?);
            self.waiting_len = 0;
        } else {
            self.wait_for_more(point)?;
        }
        Ok(rest)
    }

    /// Keeps the beginning of a code point, unless it begins none.
    fn wait_for_more(&mut self, beginning: &[u8]) -> Result<(), NotUtf8> {
        match std::str::from_utf8(beginning) {
            Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => {
                self.waiting[..beginning.len()].copy_from_slice(beginning);
                self.waiting_len = beginning.len() as u8; // at most 3: the width is not reached
                Ok(())
            }
            _ => Err(NotUtf8),
        }
    }
}

/// How many bytes a code point takes that begins with `lead`. Bytes that begin none get a width too; the validation
/// of what follows rejects them.
fn width(lead: u8) -> usize {
    match lead {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

/// Where the last code point of `piece` begins if it is cut off by the end, else the length of `piece`.
fn last_boundary(piece: &[u8]) -> usize {
    let len = piece.len();
    (1..=len.min(3))
        .find(|&back| piece[len - back] >= 0xc0)
        .filter(|&back| width(piece[len - back]) > back)
        .map_or(len, |back| len - back)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{NotUtf8, Text};

    /// What std says about a prefix of a text: it may still become one, or it never will.
    fn hopeless(prefix: &[u8]) -> bool {
        std::str::from_utf8(prefix).is_err_and(|error| error.error_len().is_some())
    }

    /// Feeds `bytes` in pieces of the given lengths (over and over) and compares every verdict with std's.
    fn agrees_with_std(bytes: &[u8], lengths: &[usize]) {
        let mut text = Text::default();
        let mut fed = 0;
        for length in lengths.iter().cycle() {
            let end = bytes.len().min(fed + length);
            let verdict = text.push(&bytes[fed..end]);
            fed = end;
            assert_eq!(verdict.is_err(), hopeless(&bytes[..fed]), "after {fed} bytes of {bytes:02x?}");
            if verdict.is_err() {
                return;
            }
            assert_eq!(text.len(), fed);
            if fed == bytes.len() {
                break;
            }
        }
        let expected = std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| NotUtf8);
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn every_pair_of_bytes_gets_the_verdict_of_std() {
        for first in 0..=255 {
            for second in 0..=255 {
                agrees_with_std(&[first, second], &[1]);
                agrees_with_std(&[b'a', first, second, 0xbf, 0xbf, b'z'], &[2, 1]);
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_get_the_verdict_of_std(
            bytes in prop::collection::vec(prop_oneof![
                any::<u8>(),
                prop::sample::select(&[0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xe0, 0xed, 0xf0, 0xf4][..]),
            ], 0..40),
            lengths in prop::collection::vec(1..9usize, 1..6),
        ) {
            agrees_with_std(&bytes, &lengths);
        }

        #[test]
        fn damaged_text_gets_the_verdict_of_std(
            text in "\\PC{0,60}",
            damage in any::<Option<(prop::sample::Index, u8)>>(),
            lengths in prop::collection::vec(1..90usize, 1..6),
        ) {
            let mut bytes = text.into_bytes();
            if let Some((index, byte)) = damage.filter(|_| !bytes.is_empty()) {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            agrees_with_std(&bytes, &lengths);
        }
    }
}
