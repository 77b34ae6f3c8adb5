//! [`Record`]: who asked for what, kept in little memory.

use std::borrow::Cow;
use std::net::SocketAddr;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use once_cell::race::OnceBox;

use super::{Ends, address};

/// URI, headers and addresses of a request in one allocation; as a [`Uri`] and a [`HeaderMap`] only when asked for.
///
/// A header map of a browser's request is some 2 KiB, and its values are windows on hyper's read buffer of 8 KiB, as the URI is: far
/// too much for ten thousand idle connections that never look at it.
pub(super) struct Record {
    /// The number of headers, and the length of the URI; for each header, the lengths of name and value: all as [`Len`]. Then the
    /// texts, in the same order; then the remote address and the local one.
    bytes: Box<[u8]>,
    /// One word each, where a lock around a box would be two.
    uri: OnceBox<Uri>,
    map: OnceBox<HeaderMap>,
}

/// A length, as it is written. The head of a request is far below 64 KiB: what is longer could not have come in.
type Len = u16;
const LEN: usize = size_of::<Len>();

impl Record {
    pub(super) fn new(uri: &Uri, headers: &HeaderMap, ends: &Ends) -> Self {
        let uri = written(uri);
        let uri = Len::try_from(uri.len()).map_or("/", |_| &uri);
        let headers = || {
            let texts = headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
            texts.filter(|(name, value)| Len::try_from(name.len().max(value.len())).is_ok())
        };
        let (count, text) = headers()
            .fold((0, uri.len()), |(count, sum), (name, value)| (count + 1, sum + name.len() + value.len()));
        let mut bytes = Vec::with_capacity(
            (2 + 2 * count) * LEN + text + address::len(ends.remote) + address::len(ends.local),
        );
        let mut len = |len: usize| bytes.extend_from_slice(&(len as Len).to_ne_bytes());
        len(count);
        len(uri.len());
        for (name, value) in headers() {
            len(name.len());
            len(value.len());
        }
        bytes.extend_from_slice(uri.as_bytes());
        for (name, value) in headers() {
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(value);
        }
        address::write(&mut bytes, ends.remote);
        address::write(&mut bytes, ends.local);
        Record { bytes: bytes.into(), uri: OnceBox::new(), map: OnceBox::new() }
    }

    fn len_at(&self, index: usize) -> usize {
        match self.bytes[index * LEN..].first_chunk() {
            Some(&len) => Len::from_ne_bytes(len).into(),
            None => 0,
        }
    }

    /// How many headers there are.
    fn count(&self) -> usize {
        self.len_at(0)
    }

    /// Where the texts begin, with that of the URI.
    fn texts(&self) -> &[u8] {
        &self.bytes[(2 + 2 * self.count()) * LEN..]
    }

    fn uri_text(&self) -> &str {
        std::str::from_utf8(&self.texts()[..self.len_at(1)]).unwrap_or_default()
    }

    /// Names and values.
    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.texts()[self.len_at(1)..];
        (1..=self.count()).map(move |header| {
            let (name, after) = rest.split_at(self.len_at(2 * header));
            let (value, after) = after.split_at(self.len_at(2 * header + 1));
            rest = after;
            (name, value)
        })
    }

    fn addresses(&self) -> &[u8] {
        let texts: usize = (1..2 + 2 * self.count()).map(|index| self.len_at(index)).sum();
        &self.texts()[texts..]
    }

    pub(super) fn uri(&self) -> &Uri {
        // It was one when it was written.
        self.uri.get_or_init(|| Box::new(Uri::try_from(self.uri_text()).unwrap_or_default()))
    }

    /// Path and query, as they were sent. Most requests name nothing else: then they are read where they lie.
    pub(super) fn path_and_query(&self) -> (&str, Option<&str>) {
        match self.uri_text() {
            text if text.starts_with('/') => match text.split_once('?') {
                Some((path, query)) => (path, Some(query)),
                None => (text, None),
            },
            _ => (self.uri().path(), self.uri().query()),
        }
    }

    /// The values of all headers of this name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    pub(super) fn map(&self) -> &HeaderMap {
        self.map.get_or_init(|| {
            let mut map = HeaderMap::with_capacity(self.count());
            for (name, value) in self.headers() {
                // Both came out of a header map, so they go into one.
                if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
                {
                    map.append(name, value);
                }
            }
            Box::new(map)
        })
    }

    pub(super) fn remote(&self) -> Option<SocketAddr> {
        address::read(&mut self.addresses())
    }

    pub(super) fn local(&self) -> Option<SocketAddr> {
        let mut addresses = self.addresses();
        address::read(&mut addresses);
        address::read(&mut addresses)
    }
}

/// The URI as it is sent: usually path and query, which are at hand.
fn written(uri: &Uri) -> Cow<'_, str> {
    match (uri.authority(), uri.path_and_query()) {
        (None, Some(path)) => Cow::Borrowed(path.as_str()),
        _ => Cow::Owned(uri.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(uri: &str, headers: &[(&'static str, &'static str)], ends: Ends) -> Record {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Record::new(&uri.parse().unwrap(), &headers.collect(), &ends)
    }

    #[test]
    fn what_was_kept_is_found_again() {
        let headers = [("host", "example.com"), ("cookie", ""), ("x-long", "a longer value")];
        let remote = Some("[fe80::1%3]:1".parse().unwrap());
        let local = Some("127.0.0.1:8080".parse().unwrap());
        let table = [
            ("/chat/blue?lang=en&x=?", "/chat/blue", Some("lang=en&x=?")),
            ("/", "/", None),
            ("/?", "/", Some("")),
            ("http://example.com/p?q", "/p", Some("q")),
            ("http://example.com", "/", None),
            ("*", "*", None),
        ];
        for (uri, path, query) in table {
            let record = record(uri, &headers, Ends { remote, local, ..Ends::default() });
            assert_eq!(*record.uri(), uri, "{uri}");
            assert_eq!(record.path_and_query(), (path, query), "{uri}");
            assert_eq!((record.uri().path(), record.uri().query()), (path, query), "{uri}");
            assert_eq!((record.remote(), record.local()), (remote, local));
            let all = record
                .headers()
                .map(|(name, value)| [name, value].map(|text| std::str::from_utf8(text).unwrap()));
            assert_eq!(all.map(|[name, value]| (name, value)).collect::<Vec<_>>(), headers);
            assert_eq!(record.map().len(), headers.len());
        }
    }

    #[test]
    fn it_is_as_long_as_its_texts() {
        let ends = Ends { local: Some("127.0.0.1:8080".parse().unwrap()), ..Ends::default() };
        let record = record("/chat", &[("host", "example.com"), ("x", "y")], ends);
        let (lengths, texts, addresses) = (2 * 2 + 2 * 4, 5 + 4 + 11 + 1 + 1, 1 + 7);
        assert_eq!(record.bytes.len(), lengths + texts + addresses);
    }

    #[test]
    fn no_headers_and_no_addresses() {
        let record = record("/", &[], Ends::default());
        assert_eq!((record.remote(), record.local()), (None, None));
        assert_eq!(record.all("host").count(), 0);
    }
}
