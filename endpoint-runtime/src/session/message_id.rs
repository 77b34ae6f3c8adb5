//! [`MessageId`]: which message, however often it is sent.

use std::fmt;
use std::str::FromStr;

/// What makes a message the same message however often it is sent: see [`Audience::id`](crate::Audience::id).
///
/// It is written as 32 hexadecimal digits, and read back by [`FromStr`], which takes a UUID as it is usually written too.
///
/// ```
/// use endpoint_runtime::cluster::MessageId;
///
/// let id: MessageId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
/// assert_eq!(id.to_string(), "67e5504410b1426f9247bb680e5fe0c8");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(pub u128);

impl MessageId {
    /// One that nothing else has.
    pub fn random() -> Self {
        MessageId(rand::random())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

/// A text that is not the id of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidMessageId;

impl fmt::Display for InvalidMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of a message is 32 hexadecimal digits, or a UUID")
    }
}

impl std::error::Error for InvalidMessageId {}

/// Where a UUID has hyphens (RFC 9562 4).
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        let is_uuid = text.len() == 36;
        let digits =
            text.bytes().enumerate().filter(|(at, byte)| !(is_uuid && *byte == b'-' && HYPHENS.contains(at)));
        let (mut id, mut count) = (0_u128, 0);
        for (_, byte) in digits {
            let digit = char::from(byte).to_digit(16).ok_or(InvalidMessageId)?;
            id = id << 4 | u128::from(digit);
            count += 1;
        }
        if count == 32 { Ok(MessageId(id)) } else { Err(InvalidMessageId) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back() {
        let id = MessageId(0x0123_4567_89ab_cdef_0000_0000_dead_beef);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("01234567-89AB-cdef-0000-0000deadbeef".parse(), Ok(id));
        let plain = id.to_string();
        let wrong = [
            "",
            "7",
            "+1234567",
            "0123-456789ab-cdef-0000-0000deadbeef",
            &plain[1..],
            &format!("{plain}0"),
            &format!("{plain}0000"),
        ];
        for wrong in wrong {
            assert_eq!(wrong.parse::<MessageId>(), Err(InvalidMessageId), "{wrong}");
        }
    }
}
