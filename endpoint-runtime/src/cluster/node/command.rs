//! What nodes ask of each other ([`Command`], [`Question`]), and what comes of it ([`Answer`]).

use bytes::Bytes;

use super::super::NodeId;
use super::super::codec::{Malformed, Reader, Writer};
use super::super::survey::Listed;
use crate::message::{CloseCode, CloseReason, Message, Text};
use crate::session::SessionId;

/// How many sessions a page lists.
pub(in crate::cluster) const MOST_LISTED: usize = 1000;

/// How long a name may be, or a path: what is longer is not one of ours.
const LONGEST: usize = 64 << 10;

/// Something to do with the sessions that an envelope is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster) enum Command {
    /// Close them.
    Close { code: u16, reason: String },
    /// Let them join a room.
    Join(String),
    /// Let them leave a room.
    Leave(String),
}

/// Something to be known of the sessions that an envelope is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster) enum Question {
    /// How many they are.
    Count,
    /// A page of them: those behind this one, at most so many.
    List { after: Option<SessionId>, limit: usize },
    /// Whether there are any, and so whether a command of the same correlation will be answered too.
    Any,
    /// What is known of the session whose record lies under this hash: whoever asks has taken it.
    #[cfg(feature = "json")]
    HandOver([u8; 32]),
    /// What the client of the session answers to this message, within so many milliseconds. What kind of message it is stands in the flags of
    /// the envelope, as it does for all messages.
    ToClient { within: u32, message: Bytes },
}

/// What comes of a command, a question, or a message that is answered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster) enum Answer {
    /// To how many of them something was done, or how many there are.
    Count(u64),
    /// Some of them, and whether there are more.
    Page { sessions: Vec<Listed>, more: bool },
    /// Whether there are any.
    Any(bool),
    /// The record of a session, if it is there to be handed over.
    #[cfg(feature = "json")]
    Record(Option<Bytes>),
    /// What the client of the session has said.
    OfClient(Result<Message, Unanswered>),
}

/// Why the client of a session has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster) enum Unanswered {
    /// There is no such session, or not any more.
    Gone,
    /// It understands no questions.
    Unsupported,
    /// It has taken too long.
    Timeout,
    /// The question could not be sent to it.
    Unsent,
    /// Its node waits for too many answers.
    Busy,
    /// Its answer is too large for the engine.
    TooLarge { bytes: usize, limit: usize },
}

impl Command {
    pub(in crate::cluster) fn close(reason: &CloseReason) -> Self {
        Command::Close { code: reason.code().into(), reason: reason.text().to_owned() }
    }

    pub(in crate::cluster) fn encode(&self) -> Bytes {
        let mut writer = Writer::new();
        match self {
            Command::Close { code, reason } => writer.u8(1).u16(*code).str(reason),
            Command::Join(room) => writer.u8(2).str(room),
            Command::Leave(room) => writer.u8(3).str(room),
        };
        writer.finish()
    }

    pub(in crate::cluster) fn decode(payload: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let command = match reader.u8()? {
            1 => Command::Close { code: reader.u16()?, reason: text(&mut reader)? },
            2 => Command::Join(text(&mut reader)?),
            3 => Command::Leave(text(&mut reader)?),
            _ => return Err(Malformed),
        };
        reader.end().map(|()| command)
    }
}

impl Question {
    pub(in crate::cluster) fn encode(self) -> Bytes {
        let mut writer = Writer::new();
        match self {
            Question::Count => writer.u8(1),
            Question::List { after, limit } => {
                writer.u8(2).option(after, Writer::session).length(limit.min(MOST_LISTED))
            }
            Question::Any => writer.u8(3),
            #[cfg(feature = "json")]
            Question::HandOver(key) => writer.u8(4).bytes(&key),
            Question::ToClient { within, message } => writer.u8(5).u32(within).bytes(&message),
        };
        writer.finish()
    }

    pub(in crate::cluster) fn decode(payload: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let question = match reader.u8()? {
            1 => Question::Count,
            2 => {
                Question::List { after: reader.option(Reader::session)?, limit: reader.length(MOST_LISTED)? }
            }
            3 => Question::Any,
            #[cfg(feature = "json")]
            4 => Question::HandOver(reader.bytes(32)?.as_ref().try_into().map_err(|_| Malformed)?),
            5 => Question::ToClient { within: reader.u32()?, message: reader.bytes(usize::MAX)? },
            _ => return Err(Malformed),
        };
        reader.end().map(|()| question)
    }
}

impl Answer {
    pub(in crate::cluster) fn encode(&self) -> Bytes {
        let mut writer = Writer::new();
        match self {
            Answer::Count(count) => writer.u8(1).u64(*count),
            Answer::Page { sessions, more } => writer.u8(2).list(sessions, Listed::write).bool(*more),
            Answer::Any(any) => writer.u8(3).bool(*any),
            #[cfg(feature = "json")]
            Answer::Record(record) => writer.u8(4).option(record.as_deref(), Writer::bytes),
            Answer::OfClient(Ok(Message::Text(text))) => writer.u8(5).str(text),
            Answer::OfClient(Ok(Message::Binary(bytes))) => writer.u8(6).bytes(bytes),
            Answer::OfClient(Err(why)) => why.write(writer.u8(7)),
        };
        writer.finish()
    }

    pub(in crate::cluster) fn decode(payload: Bytes, from: NodeId) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let answer = match reader.u8()? {
            1 => Answer::Count(reader.u64()?),
            2 => {
                let sessions = reader.list(MOST_LISTED, |reader| Listed::read(reader, from))?;
                Answer::Page { sessions, more: reader.bool()? }
            }
            3 => Answer::Any(reader.bool()?),
            #[cfg(feature = "json")]
            4 => Answer::Record(reader.option(|reader| reader.bytes(usize::MAX))?),
            5 => {
                let text = Text::from_utf8(reader.bytes(usize::MAX)?).ok_or(Malformed)?;
                Answer::OfClient(Ok(Message::Text(text)))
            }
            6 => Answer::OfClient(Ok(Message::Binary(reader.bytes(usize::MAX)?))),
            7 => Answer::OfClient(Err(Unanswered::read(&mut reader)?)),
            _ => return Err(Malformed),
        };
        reader.end().map(|()| answer)
    }
}

impl Unanswered {
    fn write(self, writer: &mut Writer) -> &mut Writer {
        match self {
            Unanswered::Gone => writer.u8(1),
            Unanswered::Unsupported => writer.u8(2),
            Unanswered::Timeout => writer.u8(3),
            Unanswered::Unsent => writer.u8(4),
            Unanswered::Busy => writer.u8(5),
            Unanswered::TooLarge { bytes, limit } => writer.u8(6).length(bytes).length(limit),
        }
    }

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(match reader.u8()? {
            1 => Unanswered::Gone,
            2 => Unanswered::Unsupported,
            3 => Unanswered::Timeout,
            4 => Unanswered::Unsent,
            5 => Unanswered::Busy,
            6 => {
                Unanswered::TooLarge { bytes: reader.length(usize::MAX)?, limit: reader.length(usize::MAX)? }
            }
            _ => return Err(Malformed),
        })
    }
}

impl Listed {
    /// Which node it is of is not said: who answers knows only its own.
    fn write<'w>(writer: &'w mut Writer, listed: &Self) -> &'w mut Writer {
        writer.session(listed.id).str(&listed.path).option(listed.user.as_deref(), Writer::str);
        writer.list(&listed.rooms, |writer, room| writer.str(room))
    }

    fn read(reader: &mut Reader, node: NodeId) -> Result<Self, Malformed> {
        Ok(Listed {
            id: reader.session()?,
            node,
            path: text(reader)?,
            user: reader.option(text)?,
            rooms: reader.list(usize::MAX, text)?,
        })
    }

    /// How many bytes it takes in an answer, about.
    pub(in crate::cluster) fn weight(&self) -> usize {
        let rooms: usize = self.rooms.iter().map(|room| room.len() + 4).sum();
        32 + self.path.len() + self.user.as_ref().map_or(0, String::len) + rooms
    }
}

impl Command {
    /// Why a session is closed, as its own process says it.
    pub(in crate::cluster) fn reason(code: u16, reason: &str) -> CloseReason {
        CloseReason::new(CloseCode::from(code), reason)
    }
}

fn text(reader: &mut Reader) -> Result<String, Malformed> {
    reader.str(LONGEST).map(|text| text.as_ref().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_back() {
        let commands = [
            Command::Close { code: 4321, reason: "logged out".to_owned() },
            Command::Join("blue".to_owned()),
            Command::Leave(String::new()),
        ];
        for command in commands {
            assert_eq!(Command::decode(command.encode()), Ok(command));
        }
        let id = SessionId::new(1, 2);
        let questions = [
            Question::Count,
            Question::Any,
            Question::List { after: None, limit: 0 },
            Question::List { after: Some(id), limit: MOST_LISTED },
            Question::ToClient { within: u32::MAX, message: Bytes::from_static(b"?") },
        ];
        for question in questions {
            assert_eq!(Question::decode(question.clone().encode()), Ok(question));
        }
    }

    #[test]
    fn what_is_answered_is_read_back() {
        let node = NodeId::new(1);
        let listed = Listed {
            id: SessionId::new(1, 2),
            node,
            path: "/chat/{room}".to_owned(),
            user: Some("bo".to_owned()),
            rooms: vec!["blue".to_owned(), "red".to_owned()],
        };
        let stranger = Listed { user: None, rooms: Vec::new(), ..listed.clone() };
        let answers = [
            Answer::Count(u64::MAX),
            Answer::Any(true),
            Answer::Page { sessions: Vec::new(), more: false },
            Answer::Page { sessions: vec![listed, stranger], more: true },
            Answer::OfClient(Ok(Message::Text("yes".into()))),
            Answer::OfClient(Ok(Message::Binary(Bytes::new()))),
            Answer::OfClient(Err(Unanswered::Gone)),
            Answer::OfClient(Err(Unanswered::Unsupported)),
            Answer::OfClient(Err(Unanswered::Timeout)),
            Answer::OfClient(Err(Unanswered::Unsent)),
            Answer::OfClient(Err(Unanswered::Busy)),
            Answer::OfClient(Err(Unanswered::TooLarge { bytes: 70_000, limit: 65_536 })),
        ];
        for answer in answers {
            assert_eq!(Answer::decode(answer.encode(), node), Ok(answer));
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for payload in [&[][..], &[0], &[9], &[1], &[3, 2], &[3, 1, 0, 0], &[2, 0xff], &[7, 0], &[5, 1, 0xff]]
        {
            let payload = Bytes::copy_from_slice(payload);
            assert_eq!(Command::decode(payload.clone()), Err(Malformed), "{payload:?}");
            assert_eq!(Answer::decode(payload.clone(), NodeId::new(1)), Err(Malformed), "{payload:?}");
        }
    }
}
