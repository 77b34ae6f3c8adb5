//! [`Envelope`]: what nodes say to each other, from whom, to whom.
//!
//! It is encoded once, however many nodes receive it, and its payload is a part of what has arrived. Where a message stands in the history
//! of its channel is not in it: the engine says so beside it.
//!
//! Nodes of different versions talk to each other while a cluster is renewed. So the first byte is the version, the second is what kind it
//! is, and a node drops what it does not know of either; flags that it does not know it ignores.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::clock::Clocks;
use super::codec::{Malformed, Reader, Writer, varint_len};
use super::{MessageId, NodeId};
use crate::session::SessionId;

/// The only one so far.
const VERSION: u8 = 1;

/// What is always there: version, kind, flags, id, origin, sent, ttl, correlation.
const FIXED: usize = 1 + 1 + 2 + 16 + 8 + 8 + 4 + 8;

/// How many sessions may be excepted.
pub(crate) const MOST_EXCEPTIONS: usize = 1000;

/// A message from one node to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) kind: Kind,
    pub(crate) flags: Flags,
    /// The same for as often as it is sent.
    pub(crate) id: MessageId,
    /// Who has sent it.
    pub(crate) origin: NodeId,
    /// When, by the clock of the origin, in milliseconds since 1970: for nothing but how long it took.
    pub(crate) sent: u64,
    /// How long it is of use, milliseconds; 0 is for ever.
    pub(crate) ttl: u32,
    pub(crate) to: To,
    /// See [`except`](Self::except).
    except: Vec<SessionId>,
    /// What a reply repeats, so that it is known what it answers; otherwise 0.
    pub(crate) correlation: u64,
    pub(crate) payload: Bytes,
}

/// What an envelope is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message of the application, for sessions.
    Data = 1,
    /// Something to do.
    Command = 2,
    /// What came of it.
    Reply = 3,
    /// A node is there, and how it is.
    Heartbeat = 4,
    /// A question to all nodes.
    Survey = 5,
    /// A node leaves.
    Goodbye = 6,
    /// Somebody looks whether what is published comes back.
    Probe = 7,
    /// Who has entered a room or left it.
    Presence = 8,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Data,
            2 => Kind::Command,
            3 => Kind::Reply,
            4 => Kind::Heartbeat,
            5 => Kind::Survey,
            6 => Kind::Goodbye,
            7 => Kind::Probe,
            8 => Kind::Presence,
            _ => return None,
        })
    }
}

/// Yes or no, of an envelope. Those that a later version may add are kept, and mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u16);

impl Flags {
    /// The payload is a text message, and UTF-8; otherwise it is a binary one.
    pub(crate) const TEXT: Flags = Flags(1);
    /// The payload is not to be compressed for clients.
    pub(crate) const UNCOMPRESSED: Flags = Flags(1 << 1);
    /// It is of a recoverable room, and delivered where it stands in the history.
    pub(crate) const RECOVERABLE: Flags = Flags(1 << 2);
    /// A reply is waited for.
    pub(crate) const REPLY_WANTED: Flags = Flags(1 << 3);

    pub(crate) fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These too, if so.
    pub(crate) fn with(self, flags: Flags, set: bool) -> Self {
        if set { Flags(self.0 | flags.0) } else { self }
    }
}

/// For whom an envelope is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// Every session.
    Everyone,
    /// The sessions of an endpoint, by the name of its type.
    Endpoint(Arc<str>),
    /// Those in a room.
    Room(Arc<str>),
    /// Those of a user.
    User(Arc<str>),
    /// One session.
    Session(SessionId),
    /// Whichever nodes receive it, and not their sessions.
    Node,
}

/// More exceptions than an envelope carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyExceptions;

impl fmt::Display for TooManyExceptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message to other nodes excepts at most {MOST_EXCEPTIONS} sessions")
    }
}

impl std::error::Error for TooManyExceptions {}

/// Why an envelope is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is of a version that is not known here.
    Version(u8),
    /// It is of a kind that is not known here.
    Kind(u8),
    /// It is not an envelope at all.
    Malformed,
}

impl From<Malformed> for Unreadable {
    fn from(Malformed: Malformed) -> Self {
        Unreadable::Malformed
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Version(version) => write!(f, "an envelope of the version {version}"),
            Unreadable::Kind(kind) => write!(f, "an envelope of the kind {kind}"),
            Unreadable::Malformed => f.write_str("not an envelope"),
        }
    }
}

impl std::error::Error for Unreadable {}

impl Envelope {
    /// With a new id, sent now, without flags, of use for ever.
    pub(crate) fn new(kind: Kind, origin: NodeId, to: To, payload: Bytes) -> Self {
        Envelope {
            kind,
            flags: Flags::default(),
            id: MessageId::random(),
            origin,
            sent: Clocks::now().sent(),
            ttl: 0,
            to,
            except: Vec::new(),
            correlation: 0,
            payload,
        }
    }

    /// The sessions that do not get it, of those that it is for.
    pub(crate) fn except(&self) -> &[SessionId] {
        &self.except
    }

    /// Not for these sessions: at most [`MOST_EXCEPTIONS`].
    pub(crate) fn excepting(mut self, sessions: Vec<SessionId>) -> Result<Self, TooManyExceptions> {
        if sessions.len() > MOST_EXCEPTIONS {
            return Err(TooManyExceptions);
        }
        self.except = sessions;
        Ok(self)
    }

    /// How long it was on its way, as far as two clocks can tell; less if one of them was set meanwhile.
    pub(crate) fn lag(&self) -> Duration {
        Clocks::now().since(self.sent)
    }

    /// How many bytes [`encode`](Self::encode) makes of it.
    pub(crate) fn encoded_len(&self) -> usize {
        let with_length = |length: usize| varint_len(length as u64) + length;
        let to = match &self.to {
            To::Everyone | To::Node => 0,
            To::Endpoint(name) | To::Room(name) | To::User(name) => with_length(name.len()),
            To::Session(_) => 16,
        };
        let except = varint_len(self.except.len() as u64) + 16 * self.except.len();
        FIXED + 1 + to + except + with_length(self.payload.len())
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut writer = Writer::with_capacity(self.encoded_len());
        writer.u8(VERSION).u8(self.kind as u8).u16(self.flags.0).id(self.id).node(self.origin);
        writer.u64(self.sent).u32(self.ttl).u64(self.correlation);
        match &self.to {
            To::Everyone => writer.u8(0),
            To::Endpoint(name) => writer.u8(1).str(name),
            To::Room(name) => writer.u8(2).str(name),
            To::User(name) => writer.u8(3).str(name),
            To::Session(session) => writer.u8(4).session(*session),
            To::Node => writer.u8(5),
        };
        writer.list(self.except.iter().copied(), Writer::session).bytes(&self.payload);
        writer.finish()
    }

    /// Reads what has arrived; what is not an envelope of this version harms nobody.
    pub(crate) fn decode(arrived: Bytes) -> Result<Self, Unreadable> {
        // What a name or a payload has is at most everything that is left.
        const REST: usize = usize::MAX;
        let mut reader = Reader::new(arrived);
        match reader.u8()? {
            VERSION => {}
            other => return Err(Unreadable::Version(other)),
        }
        let kind = reader.u8()?;
        let kind = Kind::from_byte(kind).ok_or(Unreadable::Kind(kind))?;
        let flags = Flags(reader.u16()?);
        let (id, origin) = (reader.id()?, reader.node()?);
        let (sent, ttl, correlation) = (reader.u64()?, reader.u32()?, reader.u64()?);
        let to = match reader.u8()? {
            0 => To::Everyone,
            1 => To::Endpoint(reader.str(REST)?),
            2 => To::Room(reader.str(REST)?),
            3 => To::User(reader.str(REST)?),
            4 => To::Session(reader.session()?),
            5 => To::Node,
            _ => return Err(Unreadable::Malformed),
        };
        let except = reader.list(MOST_EXCEPTIONS, Reader::session)?;
        let payload = reader.bytes(REST)?;
        reader.end()?;
        Ok(Envelope { kind, flags, id, origin, sent, ttl, to, except, correlation, payload })
    }
}
