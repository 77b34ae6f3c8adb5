//! [`Headers`]: the headers of a request, kept in little memory.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use once_cell::race::OnceBox;

/// The request's headers in one allocation; as a map only when asked for.
///
/// A header map of a browser's request is some 2 KiB, and its values are windows on hyper's read buffer of 8 KiB: far too much for
/// ten thousand idle connections that never look at it.
pub(super) struct Headers {
    /// For each header: the lengths of name and value, as two u16; then all names and values, one after the other.
    lengths: Box<[(u16, u16)]>,
    bytes: Box<[u8]>,
    /// One word, where a lock around a box would be two.
    map: OnceBox<HeaderMap>,
}

impl Headers {
    pub(super) fn copy(map: &HeaderMap) -> Self {
        let mut lengths = Vec::with_capacity(map.len());
        let mut bytes =
            Vec::with_capacity(map.iter().map(|(name, value)| name.as_str().len() + value.len()).sum());
        for (name, value) in map {
            // The head of a request is far below 64 KiB; a longer value could not have come in.
            let (Ok(name_len), Ok(value_len)) =
                (u16::try_from(name.as_str().len()), u16::try_from(value.len()))
            else {
                continue;
            };
            lengths.push((name_len, value_len));
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(value.as_bytes());
        }
        Headers { lengths: lengths.into(), bytes: bytes.into(), map: OnceBox::new() }
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest: &[u8] = &self.bytes;
        self.lengths.iter().map(move |&(name, value)| {
            let (name, after) = rest.split_at(usize::from(name));
            let (value, after) = after.split_at(usize::from(value));
            rest = after;
            (name, value)
        })
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    pub(super) fn map(&self) -> &HeaderMap {
        self.map.get_or_init(|| {
            let mut map = HeaderMap::with_capacity(self.lengths.len());
            for (name, value) in self.iter() {
                // Both came out of a header map, so they go into one.
                if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
                {
                    map.append(name, value);
                }
            }
            Box::new(map)
        })
    }
}
