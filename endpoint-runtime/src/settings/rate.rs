//! How often something may happen, and what becomes of what happens more often.

use std::fmt;

/// So many a second in the long run, and so many at once: a bucket that holds `burst`, and is filled with `per_second`.
///
/// What counts is said where it is set: messages, bytes, handshakes. In the settings it is written `"100"` for 100 a second, or
/// `"100 burst 500"` for as many with 500 at once; of bytes, `"64KiB burst 1MiB"`.
///
/// ```
/// use endpoint_runtime::Rate;
///
/// let rate = Rate::per_second(100).burst(500);
/// assert_eq!((rate.to_string().as_str(), Rate::per_second(7).at_once()), ("100 burst 500", 7));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// So many a second, and no more than a second's worth at once. Zero counts as one.
    pub const fn per_second(count: u32) -> Self {
        let count = if count == 0 { 1 } else { count };
        Rate { per_second: count, burst: count }
    }

    /// The same, with so many at once. Zero counts as one.
    pub const fn burst(self, count: u32) -> Self {
        Rate { burst: if count == 0 { 1 } else { count }, ..self }
    }

    /// How many a second in the long run.
    pub const fn each_second(self) -> u32 {
        self.per_second
    }

    /// How many at once.
    pub const fn at_once(self) -> u32 {
        self.burst
    }
}

/// As it is written in the settings.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.per_second)?;
        if self.burst == self.per_second { Ok(()) } else { write!(f, " burst {}", self.burst) }
    }
}

/// What to do with a message that comes too soon: [`Settings::message_rate`](super::Settings::message_rate),
/// [`Settings::byte_rate`](super::Settings::byte_rate).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OverRate {
    /// It is not read before its time: the peer finds that the connection takes less. Nothing is lost. What stands behind it in the
    /// connection, pings too, waits with it.
    #[default]
    Wait,
    /// It is dropped, whole, and counted.
    Drop,
    /// The session is closed with 1008.
    Close,
}

impl OverRate {
    pub(super) const ALL: [Self; 3] = [Self::Wait, Self::Drop, Self::Close];

    /// Its name in settings: `wait`, `drop` or `close`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Drop => "drop",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for OverRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
