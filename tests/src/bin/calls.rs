//! What single calls of the wire cost: the runtime's own code, apart from sockets and tasks.
//!
//! `cargo run --release -p endpoint-tests --bin calls` says how long each takes, which depends on the machine. `calls NAME COUNT` makes so
//! many calls and nothing else: `tests/costs` counts the instructions of that, which depend on nothing. `calls --list` names them.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use wire::{Decoder, Deflater, Delivery, Gate, Role, Step, Window};

// The wire is not public, so it is compiled in from its source; with a module around it, since a file that is named by `path` looks
// for its own modules beside itself.
#[path = "../../../endpoint-runtime/src"]
#[allow(dead_code, unused_imports)]
mod runtime {
    pub(crate) mod wire;
}
use runtime::wire;

type Error = Box<dyn std::error::Error>;
type Call = Box<dyn FnMut()>;

const TEXT: u8 = 0x01;
const BINARY: u8 = 0x02;
const CONTINUE: u8 = 0x00;
const FINAL: u8 = 0x80;
const COMPRESSED: u8 = 0x40;

/// Masks as much as any other, and leaves the frame as it is: it can be read again and again.
const KEY: [u8; 4] = [0; 4];

const ALONE: Window = Window { bits: 15, takeover: false };

fn ascii(length: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(length).collect()
}

/// JSON of the usual kind, of about a kibibyte.
fn json() -> Vec<u8> {
    let records = (0..14).map(|n| {
        let (id, price) = (n * 7919 % 10_000, n * 104_729 % 1000);
        format!(
            r#"{{"id":{id},"symbol":"S{}","price":{price}.25,"side":"buy","open":{}}}"#,
            n % 5,
            n % 3 == 0
        )
    });
    format!("[{}]", records.collect::<Vec<_>>().join(",")).into_bytes()
}

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let opcode = OpCode::from(first & 0x0f);
    wire::put_masked(&mut frame, first & FINAL != 0, opcode, payload, KEY);
    frame[0] |= first & COMPRESSED;
    frame
}

/// Reads frames that have arrived in one piece; each call reads them all.
fn decode(mut bytes: Vec<u8>) -> impl FnMut() {
    let whole = Delivery::Whole(1 << 20);
    let mut decoder = Decoder::new(Role::Server, whole, whole).inflating(Some(ALONE));
    move || {
        let mut at = 0;
        loop {
            match decoder.decode(&mut bytes[at..], Gate::Open) {
                Ok((_, Step::Incomplete | Step::Held)) => break,
                Ok((consumed, step)) => {
                    black_box(&step);
                    at += consumed;
                }
                Err(violation) => panic!("{}", violation.reason),
            }
        }
    }
}

/// Makes a server's frame.
fn encode(payload: Vec<u8>) -> impl FnMut() {
    let mut out = Vec::new();
    move || {
        out.clear();
        wire::put_frame(&mut out, true, OpCode::Data(Data::Binary), black_box(&payload));
        black_box(&out);
    }
}

/// Makes a client's frame.
fn encode_masked(payload: Vec<u8>) -> impl FnMut() {
    let mut out = Vec::new();
    move || {
        out.clear();
        wire::put_masked(&mut out, true, OpCode::Data(Data::Binary), black_box(&payload), [1, 2, 3, 4]);
        black_box(&out);
    }
}

fn mask(mut payload: Vec<u8>) -> impl FnMut() {
    move || wire::mask_in_place(black_box(&mut payload), [1, 2, 3, 4])
}

fn deflate(payload: Vec<u8>) -> impl FnMut() {
    let mut deflater = Deflater::new(ALONE).expect("the feature is there");
    move || {
        black_box(deflater.message(black_box(&payload), <[u8]>::len));
    }
}

fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut deflater = Deflater::new(ALONE).expect("the feature is there");
    deflater.message(payload, <[u8]>::to_vec).expect("it becomes smaller")
}

/// The calls, ready to be made.
fn calls() -> Vec<(&'static str, Call)> {
    const BIG: usize = 64 * 1024;
    let small = frame(FINAL | TEXT, &ascii(125));
    let fragments =
        [frame(TEXT, &ascii(40)), frame(CONTINUE, &ascii(40)), frame(FINAL | CONTINUE, &ascii(45))];
    let chinese = "\u{4e16}\u{754c}".repeat(BIG / 6).into_bytes();
    let compressed = frame(FINAL | TEXT | COMPRESSED, &deflated(&json()));
    vec![
        ("decode a text of 125 bytes", Box::new(decode(small.clone()))),
        ("decode 8 texts of 125 bytes", Box::new(decode(small.repeat(8)))),
        ("decode a text in 3 fragments", Box::new(decode(fragments.concat()))),
        ("decode 64 KiB of bytes", Box::new(decode(frame(FINAL | BINARY, &ascii(BIG))))),
        ("decode 64 KiB of ASCII", Box::new(decode(frame(FINAL | TEXT, &ascii(BIG))))),
        ("decode 64 KiB of Chinese", Box::new(decode(frame(FINAL | TEXT, &chinese)))),
        ("encode 125 bytes", Box::new(encode(ascii(125)))),
        ("encode 64 KiB", Box::new(encode(ascii(BIG)))),
        ("encode 125 bytes, masked", Box::new(encode_masked(ascii(125)))),
        ("mask 64 KiB", Box::new(mask(ascii(BIG)))),
        ("deflate 1 KiB of JSON", Box::new(deflate(json()))),
        ("inflate 1 KiB of JSON", Box::new(decode(compressed))),
    ]
}

/// How long a call takes: the shortest of several rounds, since all that can happen to one makes it longer.
fn time(call: &mut dyn FnMut()) -> Duration {
    const ROUND: Duration = Duration::from_millis(20);
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < ROUND {
        call();
        count += 1;
    }
    let round = |call: &mut dyn FnMut()| {
        let begun = Instant::now();
        (0..count).for_each(|_| call());
        begun.elapsed() / count
    };
    (0..10).map(|_| round(call)).min().unwrap_or_default()
}

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            for (name, mut call) in calls() {
                println!("{name:32}{:>12.1?}", time(&mut *call));
            }
        }
        ["--list"] => calls().iter().for_each(|(name, _)| println!("{name}")),
        [wanted, count] => {
            let (_, mut call) =
                calls().into_iter().find(|(name, _)| *name == wanted).ok_or("no call of that name")?;
            let count: u32 = count.parse()?;
            (0..count).for_each(|_| call());
        }
        _ => return Err("usage: calls [--list | NAME COUNT]".into()),
    }
    Ok(())
}
