//! The load generator: one thread, frames prepared once, answers counted by their bytes.
//!
//! `load MEASURE NAME=VALUE...` loads the server on `127.0.0.1:port` whose process is `pid`, and prints one line of JSON: what
//! that cost the server, by the kernel's own accounts. The first answer on each connection is compared byte for byte.
//!
//! | measure | values | tells |
//! |---|---|---|
//! | `echo` | `connections`, `size`, `depth` messages on their way at once on each, `seconds`, `warm` seconds before | CPU seconds for 1M messages |
//! | `broadcast` | `connections`, `size`, `depth` rounds on their way at once, `seconds`, `warm` | CPU seconds for 1M deliveries |
//! | `handshake` | `connections` at once, `count`, `first` so many before | CPU microseconds for each |
//! | `idle` | `connections`, `size` of the one message each that is said back | KiB of memory for each, before and after |
//!
//! `path` is the endpoint's; `deflate=1` offers permessage-deflate and sends compressed JSON; `json=1` sends it as it is.

mod broadcast;
mod echo;
mod handshake;
mod idle;
mod message;
mod meter;
mod process;
mod socket;

use std::collections::HashMap;
use std::error::Error;
use std::str::FromStr;

use message::Message;
use process::Process;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// What the command line says.
struct Arguments(HashMap<String, String>);

impl Arguments {
    fn get<T: FromStr<Err: Error + 'static>>(&self, name: &str, default: T) -> Result<T> {
        Ok(match self.0.get(name) {
            Some(value) => value.parse()?,
            None => default,
        })
    }

    fn port(&self) -> Result<u16> {
        self.get("port", 8080)
    }

    fn path(&self) -> Result<String> {
        self.get("path", "/echo".to_owned())
    }

    fn server(&self) -> Result<Process> {
        Ok(Process(self.get("pid", 0)?))
    }

    fn connections(&self) -> Result<usize> {
        self.get("connections", 64)
    }

    fn depth(&self) -> Result<usize> {
        self.get("depth", 1)
    }

    fn deflate(&self) -> Result<bool> {
        Ok(self.get("deflate", 0)? == 1)
    }

    fn message(&self) -> Result<Message> {
        Message::new(self.get("size", 125)?, self.get("json", 0)? == 1 || self.deflate()?, self.deflate()?)
    }
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let measure = words.next().unwrap_or_default();
    let values = words.map(|word| word.split_once('=').map(|(name, value)| (name.into(), value.into())));
    let arguments = Arguments(values.collect::<Option<_>>().ok_or("usage: load MEASURE NAME=VALUE...")?);
    let figures = match measure.as_str() {
        "echo" => echo::run(&arguments)?,
        "broadcast" => broadcast::run(&arguments)?,
        "handshake" => handshake::run(&arguments)?,
        "idle" => idle::run(&arguments)?,
        _ => return Err("the measures are echo, broadcast, handshake and idle".into()),
    };
    let figures: Vec<String> =
        figures.iter().map(|(name, value)| format!("\"{name}\": {value:.4}")).collect();
    println!("{{{}}}", figures.join(", "));
    Ok(())
}
