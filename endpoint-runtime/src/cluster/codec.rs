//! [`Writer`] and [`Reader`]: the values that nodes write to each other, in bytes.
//!
//! Whatever is written is read back, and whatever is read is written the same: a value has one form. What arrives may be anything, so
//! that each read is bounded and no read takes more memory than what has arrived.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{MessageId, NodeId};
use crate::session::SessionId;

/// What has arrived ends too early, goes on too long, or means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed bytes of another node")
    }
}

impl std::error::Error for Malformed {}

/// Appends values. Numbers are big-endian.
#[derive(Debug, Default)]
pub(crate) struct Writer(BytesMut);

impl Writer {
    pub(crate) fn new() -> Self {
        Writer::default()
    }

    /// With room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Writer(BytesMut::with_capacity(bytes))
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.freeze()
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.put_u8(value);
        self
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.0.put_u16(value);
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.put_u32(value);
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.put_u64(value);
        self
    }

    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(value.into())
    }

    /// A number that is mostly small, in seven bits a byte, the low ones first.
    pub(crate) fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.0.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8)
    }

    pub(crate) fn length(&mut self, length: usize) -> &mut Self {
        self.varint(length as u64)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len());
        self.0.put_slice(bytes);
        self
    }

    pub(crate) fn str(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn id(&mut self, id: MessageId) -> &mut Self {
        self.0.put_u128(id.0);
        self
    }

    pub(crate) fn node(&mut self, node: NodeId) -> &mut Self {
        self.u64(node.get())
    }

    pub(crate) fn session(&mut self, session: SessionId) -> &mut Self {
        self.u64(session.node()).u64(session.serial())
    }

    /// What may be missing.
    pub(crate) fn option<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T) -> &mut Self,
    ) -> &mut Self {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }

    /// How many there are, and each of them.
    pub(crate) fn list<I>(
        &mut self,
        items: I,
        mut write: impl FnMut(&mut Self, I::Item) -> &mut Self,
    ) -> &mut Self
    where
        I: IntoIterator<IntoIter: ExactSizeIterator>,
    {
        let items = items.into_iter();
        self.length(items.len());
        for item in items {
            write(self, item);
        }
        self
    }
}

/// How many bytes [`Writer::varint`] takes for this.
pub(crate) fn varint_len(value: u64) -> usize {
    // Zero takes a byte too.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Reads what a [`Writer`] has written. Bytes that it gives are parts of what has arrived, and not copies.
#[derive(Debug)]
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) fn new(arrived: Bytes) -> Self {
        Reader(arrived)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| Malformed)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().map_err(|_| Malformed)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| Malformed)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.0.try_get_u64().map_err(|_| Malformed)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // A value has one form: without zeros in front.
                return if bits == 0 && shift > 0 { Err(Malformed) } else { Ok(value) };
            }
        }
        Err(Malformed)
    }

    /// A length, if it is at most this.
    pub(crate) fn length(&mut self, limit: usize) -> Result<usize, Malformed> {
        usize::try_from(self.varint()?).ok().filter(|&length| length <= limit).ok_or(Malformed)
    }

    /// At most so many bytes.
    pub(crate) fn bytes(&mut self, limit: usize) -> Result<Bytes, Malformed> {
        let length = self.length(limit.min(self.0.len()))?;
        // Its own length took some of what was left.
        if length > self.0.len() {
            return Err(Malformed);
        }
        Ok(self.0.split_to(length))
    }

    /// A text of at most so many bytes.
    pub(crate) fn str(&mut self, limit: usize) -> Result<Arc<str>, Malformed> {
        let bytes = self.bytes(limit)?;
        str::from_utf8(&bytes).map(Arc::from).map_err(|_| Malformed)
    }

    pub(crate) fn id(&mut self) -> Result<MessageId, Malformed> {
        self.0.try_get_u128().map(MessageId).map_err(|_| Malformed)
    }

    pub(crate) fn node(&mut self) -> Result<NodeId, Malformed> {
        self.u64().map(NodeId::new)
    }

    pub(crate) fn session(&mut self) -> Result<SessionId, Malformed> {
        Ok(SessionId::new(self.u64()?, self.u64()?))
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// At most so many, each of which takes a byte at least.
    pub(crate) fn list<T>(
        &mut self,
        limit: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let length = self.length(limit.min(self.0.len()))?;
        // The memory grows with what is read: a length is quickly said.
        let mut list = Vec::with_capacity(length.min(64));
        for _ in 0..length {
            list.push(read(self)?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Writer) -> &mut Writer) -> Reader {
        let mut writer = Writer::new();
        write(&mut writer);
        Reader::new(writer.finish())
    }

    #[test]
    fn every_value_is_read_back() {
        let session = SessionId::new(1, u64::MAX);
        let mut reader = written(|writer| {
            writer.u8(1).u16(2).u32(3).u64(4).bool(true).varint(300).bytes(b"\0\xff").str("\u{1f980}");
            writer.id(MessageId(5)).node(NodeId::new(6)).session(session);
            writer.option(Some("x"), Writer::str).option(None, Writer::str).list([7, 8], Writer::u8)
        });
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.u32(), Ok(3));
        assert_eq!(reader.u64(), Ok(4));
        assert_eq!(reader.bool(), Ok(true));
        assert_eq!(reader.varint(), Ok(300));
        assert_eq!(reader.bytes(2), Ok(Bytes::from_static(b"\0\xff")));
        assert_eq!(reader.str(4), Ok("\u{1f980}".into()));
        assert_eq!(reader.id(), Ok(MessageId(5)));
        assert_eq!(reader.node(), Ok(NodeId::new(6)));
        assert_eq!(reader.session(), Ok(session));
        assert_eq!(reader.option(|reader| reader.str(1)), Ok(Some("x".into())));
        assert_eq!(reader.option(|reader| reader.str(1)), Ok(None));
        assert_eq!(reader.list(2, Reader::u8), Ok(vec![7, 8]));
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn what_is_over_its_limit_is_refused() {
        assert_eq!(written(|writer| writer.bytes(b"abc")).bytes(2), Err(Malformed));
        assert_eq!(written(|writer| writer.str("abc")).str(2), Err(Malformed));
        assert_eq!(written(|writer| writer.list([1, 2, 3], Writer::u8)).list(2, Reader::u8), Err(Malformed));
    }

    #[test]
    fn a_length_without_what_it_announces_is_refused() {
        for length in [1, 2, 1 << 20, u64::MAX] {
            let announced = || written(|writer| writer.varint(length));
            assert_eq!(announced().bytes(usize::MAX), Err(Malformed), "{length}");
            assert_eq!(announced().list(usize::MAX, Reader::u8), Err(Malformed), "{length}");
        }
    }

    #[test]
    fn a_value_has_one_form() {
        let wrong: [&[u8]; 5] = [
            &[],
            &[0x80],
            &[0x80, 0],
            &[0x81, 0x80, 0],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ];
        for bytes in wrong {
            assert_eq!(Reader::new(Bytes::from_static(bytes)).varint(), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(Reader::new(Bytes::from_static(&[2])).bool(), Err(Malformed));
        assert_eq!(Reader::new(Bytes::from_static(&[1, 0xff])).str(1), Err(Malformed));
        assert_eq!(Reader::new(Bytes::from_static(&[0])).end(), Err(Malformed));
    }

    proptest! {
        #[test]
        fn a_varint_is_as_long_as_it_says(value: u64, shift in 0..64_u32) {
            let value = value >> shift;
            let mut writer = Writer::new();
            writer.varint(value);
            let bytes = writer.finish();
            prop_assert_eq!(bytes.len(), varint_len(value));
            let mut reader = Reader::new(bytes);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }
}
