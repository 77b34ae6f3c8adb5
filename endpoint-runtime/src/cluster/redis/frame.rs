//! What a published message looks like on its way: `-message`, or with its place in the history, `+epoch:offset:message`.

use std::io::Write;

use bytes::Bytes;
use redis::{RedisWrite, ToRedisArgs, ToSingleRedisArg};

use super::super::{Epoch, Position};

const VOLATILE: u8 = b'-';
/// Written by the script that appends.
const APPENDED: u8 = b'+';

/// A message that is not kept, as the argument of a command.
pub(super) struct Volatile<'a>(pub(super) &'a [u8]);

impl ToRedisArgs for Volatile<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut argument = out.writer_for_next_arg();
        // It is written to memory.
        let _ = argument.write_all(&[VOLATILE]);
        let _ = argument.write_all(self.0);
    }
}

impl ToSingleRedisArg for Volatile<'_> {}

/// The message, and its position if it has one; nothing if that is no message of ours.
pub(super) fn read(frame: Vec<u8>) -> Option<(Bytes, Option<Position>)> {
    let frame = Bytes::from(frame);
    match *frame.first()? {
        VOLATILE => Some((frame.slice(1..), None)),
        APPENDED => {
            let mut parts = frame[1..].splitn(3, |&byte| byte == b':');
            let epoch = std::str::from_utf8(parts.next()?).ok()?;
            let digits = std::str::from_utf8(parts.next()?).ok()?;
            let offset = digits.parse().ok()?;
            parts.next()?;
            let message = frame.slice(1 + epoch.len() + 1 + digits.len() + 1..);
            Some((message, Some(Position { epoch: Epoch(epoch.into()), offset })))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read() {
        let at = |epoch: &str, offset| Some(Position { epoch: Epoch(epoch.into()), offset });
        for (frame, expected) in [
            (&b"-hello"[..], Some((&b"hello"[..], None))),
            (b"-", Some((b"", None))),
            (b"-+a:1:x", Some((b"+a:1:x", None))),
            (b"+ab.c:17:a:b", Some((b"a:b", at("ab.c", 17)))),
            (b"+e:1:", Some((b"", at("e", 1)))),
            (b"", None),
            (b"hello", None),
            (b"+e:1", None),
            (b"+e:-1:x", None),
            (b"+e:18446744073709551616:x", None),
            (b"+\xff:1:x", None),
        ] {
            let expected = expected.map(|(message, position)| (Bytes::from_static(message), position));
            assert_eq!(read(frame.to_vec()), expected, "{}", frame.escape_ascii());
        }
    }
}
