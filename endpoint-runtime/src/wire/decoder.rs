//! Bytes in, messages and control frames out: the receiving half of RFC 6455 (sections 5, 7 and 8).

mod inflating;

use std::borrow::Cow;

use tokio_tungstenite::tungstenite;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::assembly::{Assembly, Outlook};
use super::deflate::{Inflater, Window};
use super::header::{self, Header};
use super::mask::Key;
use super::text::Text;
use super::{MAX_CONTROL, Role, Violation, may_be_sent};

/// What the reader wants to hear about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Everything.
    Open,
    /// Control frames only, because a handler is still busy with the last message. No byte of a data frame is
    /// consumed, so the peer feels it as TCP backpressure and not we as memory.
    ControlOnly,
}

/// What the consumed bytes meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'b> {
    /// Everything usable was consumed. What is left of the input is at most an incomplete header (13 bytes) or an
    /// incomplete control frame (130 bytes); it must be given again with more bytes behind it.
    Incomplete,
    /// The next byte belongs to a data frame and [`Gate::ControlOnly`] keeps it, or a part of a compressed message.
    Held,
    /// A text message; borrowed when it lay in the input as one frame.
    Text(Cow<'b, str>),
    /// A binary message; borrowed when it lay in the input as one frame.
    Binary(Cow<'b, [u8]>),
    /// A part of a text message, cut at a code point, and whether it is the last.
    TextPart(Cow<'b, str>, bool),
    /// A part of a binary message, and whether it is the last.
    BinaryPart(Cow<'b, [u8]>, bool),
    /// A ping, to be answered with its payload.
    Ping(&'b [u8]),
    /// A pong, asked for or not.
    Pong(&'b [u8]),
    /// The peer's close frame; `None` when it is empty, which readers of codes call 1005.
    Close(Option<(CloseCode, Cow<'b, str>)>),
}

impl Step<'_> {
    /// A part that does not lie in the input.
    fn into_owned(self) -> Step<'static> {
        match self {
            Step::TextPart(part, last) => Step::TextPart(Cow::Owned(part.into_owned()), last),
            Step::BinaryPart(part, last) => Step::BinaryPart(Cow::Owned(part.into_owned()), last),
            _ => Step::Incomplete,
        }
    }
}

/// How messages of one kind are received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Whole, with at most so many bytes.
    Whole(usize),
    /// In parts, as they arrive, of any number: nothing is kept.
    Parts,
}

/// A [`Delivery`] in half its size, for a decoder is part of every idle connection. No message has so many bytes that the number that
/// stands for parts were missed.
#[derive(Debug, Clone, Copy)]
struct Packed(usize);

impl Packed {
    fn new(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Whole(limit) => Self(limit.min(usize::MAX - 1)),
            Delivery::Parts => Self(usize::MAX),
        }
    }

    #[inline]
    fn get(self) -> Delivery {
        if self.0 == usize::MAX { Delivery::Parts } else { Delivery::Whole(self.0) }
    }
}

/// The most bytes of one part.
const PART: usize = 64 * 1024;

/// Reads one peer's frames.
///
/// It owns memory only while a message is incomplete. After a [`Violation`] the stream has no meaning any more: the
/// decoder must not be asked again.
#[derive(Debug)]
pub(crate) struct Decoder {
    role: Role,
    text: Packed,
    binary: Packed,
    assembly: Assembly,
    /// How the message that has begun is received.
    current: Packed,
    /// How much payload the current data frame still owes; 0 between frames.
    owed: u64,
    /// The mask of what is owed.
    key: Key,
    /// Whether the current data frame is the last of its message.
    last_frame: bool,
    /// How the peer compresses, if it may (RFC 7692).
    window: Option<Window>,
    /// Whether the message that has begun is compressed.
    compressed: bool,
    /// Whether it may have come to more than was told.
    owes: bool,
    /// What inflates it; between messages only if they may refer to each other.
    inflater: Option<Box<Inflater>>,
}

impl Decoder {
    /// A decoder at the start of a stream, right behind the handshake.
    pub(crate) fn new(role: Role, text: Delivery, binary: Delivery) -> Self {
        Self {
            role,
            text: Packed::new(text),
            binary: Packed::new(binary),
            assembly: Assembly::None,
            current: Packed::new(text),
            owed: 0,
            key: Key::default(),
            last_frame: false,
            window: None,
            compressed: false,
            owes: false,
            inflater: None,
        }
    }

    /// Compressed messages are all right too, if that was agreed on.
    pub(crate) fn inflating(mut self, window: Option<Window>) -> Self {
        self.window = window;
        self
    }

    /// Changes how messages are received, from the next one on: the one that has begun ends as it began.
    pub(crate) fn deliver(&mut self, text: Delivery, binary: Delivery) {
        (self.text, self.binary) = (Packed::new(text), Packed::new(binary));
    }

    /// Whether a message has begun and not ended.
    #[inline]
    pub(crate) fn is_amid_message(&self) -> bool {
        !matches!(self.assembly, Assembly::None)
    }

    /// Whether there may be something to tell without any more input.
    #[inline]
    pub(crate) fn owes(&self) -> bool {
        self.owes
    }

    /// Reads on until something is worth telling. `input` begins at the first byte that was not yet consumed; the
    /// result says how many of its bytes are consumed now, and what they meant. Consumed bytes are unmasked where
    /// they lie and must not be given again; the others are untouched.
    ///
    /// # Errors
    ///
    /// The first rule or limit that the peer broke, with the close code to fail the connection with.
    pub(crate) fn decode<'b>(
        &mut self,
        input: &'b mut [u8],
        gate: Gate,
    ) -> Result<(usize, Step<'b>), Violation> {
        let total = input.len();
        let mut rest = input;
        if self.owes
            && gate == Gate::Open
            && let (_, Some(step)) = self.inflate(&mut [])?
        {
            return Ok((0, step));
        }
        loop {
            let Some(&next) = rest.first() else {
                return Ok((total, if self.owes { Step::Held } else { Step::Incomplete }));
            };
            let consumed = total - rest.len();
            let between_frames = self.owed == 0;
            if gate == Gate::ControlOnly && (!between_frames || header::is_data(next)) {
                return Ok((consumed, Step::Held));
            }
            if between_frames {
                let Some(header) = header::parse(rest, self.role, self.window.is_some())? else {
                    return Ok((consumed, Step::Incomplete));
                };
                if let OpCode::Data(data) = header.frame.opcode {
                    self.check_message(data, &header)?;
                }
                let whole = header.end().filter(|&end| end <= rest.len());
                match (header.frame.opcode, whole) {
                    (OpCode::Control(_), None) => return Ok((consumed, Step::Incomplete)),
                    (OpCode::Control(control), Some(end)) => {
                        let payload = unmasked(&mut rest[..end], &header);
                        return Ok((consumed + end, control_frame(control, payload)?));
                    }
                    (OpCode::Data(data), Some(end))
                        if header.frame.is_final
                            && data != Data::Continue
                            && !header.frame.rsv1
                            && self.delivery(data) != Delivery::Parts =>
                    {
                        let payload = unmasked(&mut rest[..end], &header);
                        return Ok((consumed + end, message(data, payload)?));
                    }
                    (OpCode::Data(data), _) => {
                        self.begin_frame(data, &header);
                        rest = &mut rest[header.size..];
                    }
                }
            }
            let piece = self.next_piece(rest.len());
            if self.compressed {
                let (used, step) = self.inflate(&mut rest[..piece])?;
                rest = &mut rest[used..];
                match step {
                    Some(step) => return Ok((total - rest.len(), step)),
                    None => continue,
                }
            }
            let (piece, after) = rest.split_at_mut(piece);
            rest = after;
            if let Some(step) = self.take_in(piece)? {
                return Ok((total - rest.len(), step));
            }
        }
    }

    /// The message that begins here, if it is the whole of one frame of up to 125 bytes, as a server gets it: what most messages are, told
    /// by a few comparisons. Anything else is for [`decode`](Self::decode); nothing has been touched then.
    #[inline]
    pub(crate) fn short_message<'b>(
        &mut self,
        input: &'b mut [u8],
    ) -> Option<Result<(usize, Step<'b>), Violation>> {
        const HEAD: usize = 2 + 4;
        let &mut [first, second, ..] = input else { return None };
        let (data, delivery) = match first {
            0x81 => (Data::Text, self.text),
            0x82 => (Data::Binary, self.binary),
            _ => return None,
        };
        let end = HEAD + usize::from(second & 0x7f);
        let masked = second & 0x80 != 0 && self.role == Role::Server;
        let fits = matches!(delivery.get(), Delivery::Whole(limit) if end <= HEAD + limit.min(MAX_CONTROL));
        if !masked || !fits || self.owed != 0 || self.is_amid_message() {
            return None;
        }
        let (head, payload) = input.get_mut(..end)?.split_at_mut(HEAD);
        Key::new(*head.last_chunk()?).apply(payload);
        Some(message(data, payload).map(|step| (end, step)))
    }

    /// How many bytes of heap the decoder holds.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.assembly.capacity()
    }

    /// Whether the decoder keeps an inflater, which is far more.
    #[cfg(all(test, feature = "deflate"))]
    pub(super) fn keeps_inflater(&self) -> bool {
        self.inflater.is_some()
    }

    /// Whether a data frame may come now, and with so much payload (RFC 6455, 5.4).
    #[inline]
    fn check_message(&self, data: Data, header: &Header) -> Result<(), Violation> {
        let begun = !matches!(self.assembly, Assembly::None);
        match (data, begun) {
            (Data::Continue, false) => {
                return Err(Violation::protocol("continuation frame without a message to continue"));
            }
            (Data::Continue, true) | (_, false) => {}
            (_, true) => return Err(Violation::protocol("new message inside a fragmented one")),
        }
        if let Delivery::Whole(limit) = self.delivery(data)
            && header.payload.saturating_add(self.assembly.len() as u64) > limit as u64
            // What counts is what the message comes to.
            && !(header.frame.rsv1 || self.compressed)
        {
            return Err(Violation::too_large(limit));
        }
        Ok(())
    }

    /// How the message is received that a frame of this kind belongs to.
    #[inline]
    fn delivery(&self, data: Data) -> Delivery {
        let packed = match data {
            Data::Text => self.text,
            Data::Binary => self.binary,
            // Reserved ones do not pass the header's own check.
            Data::Continue | Data::Reserved(_) => self.current,
        };
        packed.get()
    }

    /// Gets ready for the payload of a data frame that passed [`Self::check_message`].
    fn begin_frame(&mut self, data: Data, header: &Header) {
        let delivery = self.delivery(data);
        self.current = Packed::new(delivery);
        match (data, delivery) {
            (Data::Text, _) => self.assembly = Assembly::Text(Text::default()),
            (Data::Binary, Delivery::Whole(_)) => self.assembly = Assembly::Binary(Vec::new()),
            (Data::Binary, Delivery::Parts) => self.assembly = Assembly::Parts,
            // Reserved ones do not pass the header's own check.
            (Data::Continue | Data::Reserved(_), _) => {}
        }
        if data != Data::Continue {
            self.compressed = header.frame.rsv1;
            if let Some(window) = self.window.filter(|_| self.compressed && self.inflater.is_none()) {
                self.inflater = Inflater::borrow(window);
            }
        }
        self.owed = header.payload;
        self.key = Key::new(header.frame.mask.unwrap_or_default());
        self.last_frame = header.frame.is_final;
    }

    /// How much of what is there belongs to the current data frame, and may be taken at once.
    fn next_piece(&self, available: usize) -> usize {
        let most = if self.current.get() == Delivery::Parts { PART } else { usize::MAX };
        // No more than `available`, so nothing is cut off.
        self.owed.min(available.min(most) as u64) as usize
    }

    /// Takes the next piece of the current data frame; returns the message if it ends with it, or the piece if it is a part.
    fn take_in<'b>(&mut self, piece: &'b mut [u8]) -> Result<Option<Step<'b>>, Violation> {
        if self.role == Role::Server {
            self.key.apply(piece);
        }
        let announced = self.owed;
        self.owed -= piece.len() as u64;
        let last = self.owed == 0 && self.last_frame;
        match self.current.get() {
            Delivery::Parts => self.assembly.part(piece, last),
            Delivery::Whole(limit) => {
                // No more than the limit, so nothing is cut off.
                let announced = announced as usize;
                self.assembly.append(piece, Outlook { announced, last_frame: self.last_frame, limit })?;
                if last { self.assembly.deliver().map(Some) } else { Ok(None) }
            }
        }
    }
}

/// The payload of a whole frame, readable.
#[inline]
fn unmasked<'b>(frame: &'b mut [u8], header: &Header) -> &'b [u8] {
    let payload = &mut frame[header.size..];
    if let Some(key) = header.frame.mask {
        Key::new(key).apply(payload);
    }
    payload
}

/// A message that is one frame.
#[inline]
fn message(data: Data, payload: &[u8]) -> Result<Step<'_>, Violation> {
    if data == Data::Binary {
        return Ok(Step::Binary(Cow::Borrowed(payload)));
    }
    match simdutf8::basic::from_utf8(payload) {
        Ok(text) => Ok(Step::Text(Cow::Borrowed(text))),
        Err(_) => Err(Violation::not_utf8("text message is not UTF-8")),
    }
}

fn control_frame(control: Control, payload: &[u8]) -> Result<Step<'_>, Violation> {
    debug_assert!(payload.len() <= MAX_CONTROL, "the header's own check");
    match control {
        Control::Ping => Ok(Step::Ping(payload)),
        Control::Pong => Ok(Step::Pong(payload)),
        // Reserved ones do not pass the header's own check.
        Control::Close | Control::Reserved(_) => close_frame(payload).map(Step::Close),
    }
}

/// The body of a close frame (RFC 6455, 5.5.1 and 7.4): nothing, or a code that may be sent and a reason in UTF-8.
fn close_frame(payload: &[u8]) -> Result<Option<(CloseCode, Cow<'_, str>)>, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(Violation::protocol("close frame with half a code")),
        [high, low, reason @ ..] => (CloseCode::from(u16::from_be_bytes([*high, *low])), reason),
    };
    if !may_be_sent(code) {
        return Err(Violation::protocol("close code that must not be sent"));
    }
    // 1007 and not 1002: the frame is well formed, its text is not (RFC 6455, 8.1).
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::not_utf8("close reason is not UTF-8"))?;
    Ok(Some((code, Cow::Borrowed(reason))))
}
