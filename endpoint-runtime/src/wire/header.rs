//! The head of a frame (RFC 6455, 5.2): two to fourteen bytes, and every rule that they can break by themselves.

use tokio_tungstenite::tungstenite;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{MAX_CONTROL, Role, Violation};

/// A header that keeps the rules, with the two lengths that tungstenite's type has no field for.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) frame: FrameHeader,
    /// How many bytes the header itself takes.
    pub(super) size: usize,
    /// How many bytes of payload it announces; less than 2^63.
    pub(super) payload: u64,
}

impl Header {
    /// Where the frame ends, counted from its first byte, if a buffer could hold it at all.
    #[inline]
    pub(super) fn end(&self) -> Option<usize> {
        usize::try_from(self.payload).ok()?.checked_add(self.size)
    }
}

/// Reads the header at the start of `bytes`; `None` while it is incomplete. Bytes are judged in their order and as
/// soon as they are there, so the verdict does not depend on how many arrive at once. `deflate`: messages may be compressed.
#[inline]
pub(super) fn parse(bytes: &[u8], role: Role, deflate: bool) -> Result<Option<Header>, Violation> {
    let [first, after @ ..] = bytes else { return Ok(None) };
    let opcode = opcode(*first, deflate)?;
    let [second, after @ ..] = after else { return Ok(None) };
    let short = second & 0x7f;
    check_mask_bit(*second, role)?;
    if matches!(opcode, OpCode::Control(_)) && usize::from(short) > MAX_CONTROL {
        return Err(Violation::protocol("control frame of more than 125 bytes"));
    }

    let (payload, after) = match short {
        126 => {
            let Some((length, after)) = after.split_first_chunk() else { return Ok(None) };
            (minimal(u64::from(u16::from_be_bytes(*length)), 126)?, after)
        }
        127 => {
            let Some((length, after)) = after.split_first_chunk() else { return Ok(None) };
            (minimal(u64::from_be_bytes(*length), 1 << 16)?, after)
        }
        _ => (u64::from(short), after),
    };
    let (mask, after) = match role {
        Role::Server => {
            let Some((key, after)) = after.split_first_chunk() else { return Ok(None) };
            (Some(*key), after)
        }
        Role::Client => (None, after),
    };
    let frame =
        FrameHeader { is_final: first & 0x80 != 0, rsv1: first & RSV1 != 0, opcode, mask, ..NO_EXTENSION };
    Ok(Some(Header { frame, size: bytes.len() - after.len(), payload }))
}

/// Whether a frame that begins with this byte carries a message or a part of one, and is not a control frame.
#[inline]
pub(super) fn is_data(first: u8) -> bool {
    first & 0x08 == 0
}

/// The bit that says that a message is compressed (RFC 7692 6).
pub(super) const RSV1: u8 = 0x40;

const NO_EXTENSION: FrameHeader = FrameHeader {
    is_final: true,
    rsv1: false,
    rsv2: false,
    rsv3: false,
    opcode: OpCode::Data(Data::Continue),
    mask: None,
};

#[inline]
fn opcode(first: u8, deflate: bool) -> Result<OpCode, Violation> {
    if first & 0x70 != 0 {
        check_reserved_bits(first, deflate)?;
    }
    let opcode = OpCode::from(first & 0x0f);
    match opcode {
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
            Err(Violation::protocol("reserved opcode"))
        }
        OpCode::Control(_) if first & 0x80 == 0 => Err(Violation::protocol("fragmented control frame")),
        _ => Ok(opcode),
    }
}

/// The first frame of a message says that it is compressed, if that was agreed on, and nothing else may be said.
#[inline(never)]
fn check_reserved_bits(first: u8, deflate: bool) -> Result<(), Violation> {
    if !deflate || first & 0x70 != RSV1 {
        return Err(Violation::protocol("reserved bit set without an extension that defines it"));
    }
    if !is_data(first) || first & 0x0f == 0 {
        return Err(Violation::protocol("RSV1 set on a frame that begins no message"));
    }
    Ok(())
}

#[inline]
fn check_mask_bit(second: u8, role: Role) -> Result<(), Violation> {
    match (role, second & 0x80 != 0) {
        (Role::Server, true) | (Role::Client, false) => Ok(()),
        (Role::Server, false) => Err(Violation::protocol("frame from a client is not masked")),
        (Role::Client, true) => Err(Violation::protocol("frame from a server is masked")),
    }
}

/// A length must be written in the fewest bytes that hold it, and stay below 2^63.
#[inline]
fn minimal(length: u64, least: u64) -> Result<u64, Violation> {
    if length < least {
        return Err(Violation::protocol("payload length not in its shortest form"));
    }
    if length >= 1 << 63 {
        return Err(Violation::protocol("payload length of 2^63 or more"));
    }
    Ok(length)
}
