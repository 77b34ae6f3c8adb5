//! The message that is sent all the time, as its client sends it, and how its answer is told from anything else.

use std::io::{Read, Write};

use bench_programs::{Header, frame};
use flate2::read::DeflateDecoder;
use flate2::{Compress, Compression, FlushCompress};

use crate::Result;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const FINAL_TEXT: u8 = 0x81;
const COMPRESSED: u8 = 0x40;
/// What a sender cuts off the end of compressed data (RFC 7692, 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// One text message.
pub(crate) struct Message {
    payload: Vec<u8>,
    /// The frame that a client sends.
    pub(crate) frame: Vec<u8>,
}

impl Message {
    pub(crate) fn new(size: usize, json: bool, deflate: bool) -> Result<Self> {
        let payload = if json { records(size) } else { alphabet(size) };
        let frame = if deflate {
            frame(FINAL_TEXT | COMPRESSED, &deflated(&payload)?, Some(MASK))
        } else {
            frame(FINAL_TEXT, &payload, Some(MASK))
        };
        Ok(Self { payload, frame })
    }

    /// Reads the answer from a connection: its length, if it says the same.
    pub(crate) fn read_answer(&self, mut from: impl Read) -> Result<usize> {
        let mut answer = Vec::new();
        let header = loop {
            if let Some(header) = Header::parse(&answer) {
                break header;
            }
            let mut byte = [0];
            from.read_exact(&mut byte)?;
            answer.push(byte[0]);
        };
        if header.payload > 2 * self.payload.len() + 16 {
            return Err(format!("an answer of {} bytes", header.payload).into());
        }
        let mut payload = vec![0; header.payload];
        from.read_exact(&mut payload)?;
        if header.first == FINAL_TEXT | COMPRESSED {
            payload = inflated(&payload)?;
        } else if header.first != FINAL_TEXT {
            return Err(format!("an answer that begins with {:#x}", header.first).into());
        }
        if payload != self.payload {
            return Err("an answer that says something else".into());
        }
        Ok(header.frame())
    }
}

fn alphabet(size: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(size).collect()
}

/// JSON of the usual kind: a list of records that have the same keys, and values that differ.
fn records(size: usize) -> Vec<u8> {
    let mut json = vec![b'['];
    let mut number = 1_u64;
    while json.len() < size {
        // Numbers that look like any.
        let (id, price, time) =
            (number * 7919 % 100_000, number * 104_729 % 10_000, number * 15_485_863 % 86_400);
        write!(
            json,
            r#"{{"id":{id},"symbol":"S{}","price":{}.{:02},"side":"{}","time":"2025-01-02T{:02}:{:02}:{:02}Z"}},"#,
            id % 83,
            price / 100,
            price % 100,
            if id % 3 == 0 { "buy" } else { "sell" },
            time / 3600,
            time / 60 % 60,
            time % 60,
        )
        .expect("a Vec takes everything");
        number += 1;
    }
    json.truncate(size);
    json
}

fn deflated(payload: &[u8]) -> Result<Vec<u8>> {
    let mut deflated = Vec::with_capacity(payload.len() + 64);
    Compress::new(Compression::default(), false).compress_vec(payload, &mut deflated, FlushCompress::Sync)?;
    Ok(deflated.strip_suffix(&TAIL).ok_or("compressed data without its end")?.to_vec())
}

fn inflated(payload: &[u8]) -> Result<Vec<u8>> {
    let whole = [payload, &TAIL, &[1, 0, 0, 0xff, 0xff]].concat();
    let mut inflated = Vec::new();
    DeflateDecoder::new(whole.as_slice()).read_to_end(&mut inflated)?;
    Ok(inflated)
}
