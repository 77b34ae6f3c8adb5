//! How compression is agreed on (RFC 7692 5 and 7.1): what a client offers, what a server answers, and what the two make of it.

use std::mem;

use crate::session::{DEFLATE, Extension};
use crate::settings::Compression;
use crate::wire::{Deflate, Window};

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The largest window, which is meant where none is named: 32 KiB.
const MOST_BITS: u8 = 15;
/// The smallest window that the compressor can do with. A peer may compress with 8 bits; we cannot.
const FEWEST_BITS: u8 = 9;

/// What was agreed on: the words of the answer, and what they mean for this end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub(crate) extension: Extension,
    pub(crate) deflate: Deflate,
}

/// A server's answer to the first offer of compression that it can accept, if there is one. Others are declined, which is no error.
pub(crate) fn answer(compression: Compression, offered: &[Extension]) -> Option<Agreement> {
    if !compression.is_possible() {
        return None;
    }
    let offers = offered.iter().filter(|offer| offer.name() == DEFLATE);
    offers.filter_map(|offer| Parameters::read(offer).ok()?.accepted(compression)).next()
}

/// Whether whoever chooses among extensions has left compression to those who do it: by its name alone, in the words of an offer, or in
/// those of the answer. Other words would promise what nobody keeps.
pub(crate) fn is_as_it_is(chosen: &Extension, offered: &[Extension], agreement: Option<&Agreement>) -> bool {
    chosen.parameters().next().is_none()
        || offered.contains(chosen)
        || agreement.is_some_and(|agreement| agreement.extension == *chosen)
}

/// The parameters of an offer or an answer (RFC 7692 7.1).
#[derive(Debug, Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// In an offer it may stand without a number: then the client can be told one.
    client_max_window_bits: Option<Option<u8>>,
}

impl Parameters {
    /// # Errors
    /// One is unknown, stands there twice, or has a value that it cannot have.
    fn read(extension: &Extension) -> Result<Self, String> {
        let mut read = Parameters::default();
        for (name, value) in extension.parameters() {
            let was_there = match name {
                SERVER_NO_CONTEXT_TAKEOVER => {
                    mem::replace(&mut read.server_no_context_takeover, flag(name, value)?)
                }
                CLIENT_NO_CONTEXT_TAKEOVER => {
                    mem::replace(&mut read.client_no_context_takeover, flag(name, value)?)
                }
                SERVER_MAX_WINDOW_BITS => read.server_max_window_bits.replace(bits(name, value)?).is_some(),
                CLIENT_MAX_WINDOW_BITS => {
                    let value = value.map(|_| bits(name, value)).transpose()?;
                    read.client_max_window_bits.replace(value).is_some()
                }
                _ => return Err(format!("`{name}` is none of its parameters")),
            };
            if was_there {
                return Err(format!("`{name}` stands there twice"));
            }
        }
        Ok(read)
    }

    /// The answer to these as an offer: no more words than it takes. `None`: we cannot do what is asked for.
    fn accepted(&self, compression: Compression) -> Option<Agreement> {
        let each_by_itself = compression != Compression::Context;
        let deflate = Deflate {
            ours: Window {
                bits: self.server_max_window_bits.unwrap_or(MOST_BITS),
                takeover: !(each_by_itself || self.server_no_context_takeover),
            },
            theirs: Window {
                bits: self.client_max_window_bits.flatten().unwrap_or(MOST_BITS),
                takeover: !(each_by_itself || self.client_no_context_takeover),
            },
        };
        if deflate.ours.bits < FEWEST_BITS {
            return None;
        }
        let mut extension = Extension::new(DEFLATE);
        if !deflate.ours.takeover {
            extension = extension.with(SERVER_NO_CONTEXT_TAKEOVER, None);
        }
        if !deflate.theirs.takeover {
            extension = extension.with(CLIENT_NO_CONTEXT_TAKEOVER, None);
        }
        // Who names a window for us is told that it is kept to, however large (7.1.2.1).
        if let Some(bits) = self.server_max_window_bits {
            extension = extension.with(SERVER_MAX_WINDOW_BITS, bits.to_string().as_str());
        }
        // Who names one of its own has said that it will not use a larger one (7.1.2.2): so it is held to it.
        if deflate.theirs.bits < MOST_BITS {
            extension = extension.with(CLIENT_MAX_WINDOW_BITS, deflate.theirs.bits.to_string().as_str());
        }
        Some(Agreement { extension, deflate })
    }
}

/// A parameter that says all by being there.
fn flag(name: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None => Ok(true),
        Some(value) => Err(format!("`{name}` takes no value, and has `{value}`")),
    }
}

/// The size of a window, as a power of two: 8 to 15, without a sign or leading zeros (7.1.2).
fn bits(name: &str, value: Option<&str>) -> Result<u8, String> {
    let Some(value) = value else { return Err(format!("`{name}` needs a number from 8 to 15")) };
    let digits = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    let number = value.parse().ok().filter(|bits| digits && (8..=MOST_BITS).contains(bits));
    number.ok_or_else(|| format!("`{name}` is a number from 8 to 15, and not `{value}`"))
}

/// The client's side.
#[cfg(feature = "client")]
mod client {
    use super::*;

    /// What a client offers, if it offers compression.
    pub(crate) fn offer(compression: Compression) -> Option<Extension> {
        if !compression.is_possible() {
            return None;
        }
        // That we can be told a window costs nothing, and servers that want to save memory need it.
        let offer = Extension::new(DEFLATE).with(CLIENT_MAX_WINDOW_BITS, None);
        Some(match compression {
            Compression::Context => offer,
            _ => offer.with(SERVER_NO_CONTEXT_TAKEOVER, None).with(CLIENT_NO_CONTEXT_TAKEOVER, None),
        })
    }

    /// What the server's answer to our [`offer`] means for us.
    ///
    /// A server that leaves out `server_no_context_takeover`, though we asked for it, refers to earlier messages: that is a poor answer, but
    /// none that RFC 7692 7.1 makes the connection fail for, and the inflater can do it.
    ///
    /// # Errors
    /// Why the connection fails.
    pub(crate) fn settle(compression: Compression, answer: &Extension) -> Result<Deflate, String> {
        let fault = |why: String| format!("its `{answer}` cannot be: {why}");
        let answered = Parameters::read(answer).map_err(fault)?;
        let bits = match answered.client_max_window_bits {
            None => MOST_BITS,
            Some(Some(bits)) if bits >= FEWEST_BITS => bits,
            Some(Some(_)) => {
                return Err(fault("a window of 8 bits is too small to compress with".to_owned()));
            }
            Some(None) => {
                return Err(fault(format!("`{CLIENT_MAX_WINDOW_BITS}` needs a number from 9 to 15")));
            }
        };
        Ok(Deflate {
            ours: Window {
                bits,
                // Who did not want to use it has said so in the offer.
                takeover: compression == Compression::Context && !answered.client_no_context_takeover,
            },
            theirs: Window {
                bits: answered.server_max_window_bits.unwrap_or(MOST_BITS),
                takeover: !answered.server_no_context_takeover,
            },
        })
    }
}
#[cfg(feature = "client")]
pub(crate) use client::{offer, settle};

#[cfg(test)]
mod tests;
