//! Frames out: each function appends one frame, or its header, to a buffer. Nothing is written, flushed or checked
//! against the state of the connection here.

use tokio_tungstenite::tungstenite;
use tungstenite::protocol::frame::coding::{CloseCode, Control, OpCode};

use super::MAX_CONTROL;
use super::header::RSV1;
use super::mask::Key;

/// The longest header: two bytes, eight of length, four of mask.
pub(crate) const MAX_HEADER: usize = 14;

/// Appends the header of a frame with `len` bytes of payload, which the caller appends next (masked if `mask` is given).
#[inline(always)]
pub(crate) fn put_header(out: &mut Vec<u8>, fin: bool, opcode: OpCode, len: usize, mask: Option<[u8; 4]>) {
    let first = u8::from(opcode) | if fin { 0x80 } else { 0 };
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    if len <= 125 {
        out.extend_from_slice(&[first, mask_bit | len as u8]);
    } else if let Ok(medium) = u16::try_from(len) {
        let [high, low] = medium.to_be_bytes();
        out.extend_from_slice(&[first, mask_bit | 126, high, low]);
    } else {
        out.extend_from_slice(&[first, mask_bit | 127]);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
    if let Some(key) = mask {
        out.extend_from_slice(&key);
    }
}

/// Says in the header of a message's first frame, which begins here, that the message is compressed (RFC 7692 6).
pub(crate) fn mark_compressed(frame: &mut [u8]) {
    if let Some(first) = frame.first_mut() {
        *first |= RSV1;
    }
}

/// Appends a whole frame as a server sends it: not masked. A control frame is final, and its payload must not exceed 125
/// bytes.
#[inline]
pub(crate) fn put_frame(out: &mut Vec<u8>, fin: bool, opcode: OpCode, payload: &[u8]) {
    check_control(fin, opcode, payload);
    out.reserve(MAX_HEADER + payload.len());
    put_header(out, fin, opcode, payload.len(), None);
    out.extend_from_slice(payload);
}

/// Appends a whole frame as a client sends it: masked with `key`, which must not be predictable (RFC 6455, 10.3). A control
/// frame is final, and its payload must not exceed 125 bytes.
pub(crate) fn put_masked(out: &mut Vec<u8>, fin: bool, opcode: OpCode, payload: &[u8], key: [u8; 4]) {
    check_control(fin, opcode, payload);
    out.reserve(MAX_HEADER + payload.len());
    put_header(out, fin, opcode, payload.len(), Some(key));
    mask_into(out, payload, key);
}

/// Appends a payload, masked on the way: piece by piece, so that each is still in the processor's cache when it is masked.
pub(crate) fn mask_into(out: &mut Vec<u8>, payload: &[u8], key: [u8; 4]) {
    const PIECE: usize = 16 * 1024;
    out.reserve(payload.len());
    let mut key = Key::new(key);
    for piece in payload.chunks(PIECE) {
        let start = out.len();
        out.extend_from_slice(piece);
        key.apply(&mut out[start..]);
    }
}

/// Masks a payload where it lies.
pub(crate) fn mask_in_place(payload: &mut [u8], key: [u8; 4]) {
    Key::new(key).apply(payload);
}

/// Appends a server's close frame. The reason is cut to the 123 bytes that fit, between two characters. A code that
/// must not be sent (1005 "no status" above all) makes the frame empty, for then there is nothing true to say.
pub(crate) fn put_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let mut body = [0; MAX_CONTROL];
    put_frame(out, true, OpCode::Control(Control::Close), close_body(&mut body, code, reason));
}

/// Appends a client's close frame; otherwise like [`put_close`].
pub(crate) fn put_masked_close(out: &mut Vec<u8>, code: CloseCode, reason: &str, key: [u8; 4]) {
    let mut body = [0; MAX_CONTROL];
    put_masked(out, true, OpCode::Control(Control::Close), close_body(&mut body, code, reason), key);
}

/// Whether a close code may appear on the wire (RFC 6455, 7.4, and IANA's registry): 1000-1003, 1007-1014 and
/// 3000-4999. Not 1004-1006 and 1015, which only ever describe, and nothing that nobody has defined.
pub(crate) fn may_be_sent(code: CloseCode) -> bool {
    matches!(u16::from(code), 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn close_body<'a>(body: &'a mut [u8; MAX_CONTROL], code: CloseCode, reason: &str) -> &'a [u8] {
    if !may_be_sent(code) {
        return &[];
    }
    let mut cut = reason.len().min(MAX_CONTROL - 2);
    while !reason.is_char_boundary(cut) {
        cut -= 1;
    }
    body[..2].copy_from_slice(&u16::from(code).to_be_bytes());
    body[2..2 + cut].copy_from_slice(&reason.as_bytes()[..cut]);
    &body[..2 + cut]
}

fn check_control(fin: bool, opcode: OpCode, payload: &[u8]) {
    debug_assert!(
        matches!(opcode, OpCode::Data(_)) || (fin && payload.len() <= MAX_CONTROL),
        "control frame of {} bytes, final: {fin}; the caller bounds them",
        payload.len()
    );
}
