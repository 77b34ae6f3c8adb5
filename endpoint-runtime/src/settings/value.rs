//! The value of one setting as it was written, and what it can be read as.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::client_certificates::ClientCertificates;
use super::compression::Compression;
use super::overflow::Overflow;
use super::rate::{OverRate, Rate};

/// A year. Adding it to the present cannot overflow a clock, and whoever wants more means "off".
pub(super) const LONGEST: Duration = Duration::from_secs(8760 * 3600);

/// A value as it was written: text from the environment, any of these from the file.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Integer(i128),
    Truth(bool),
    List(Vec<Value<'a>>),
    /// What no setting takes, as its author may recognise it.
    Other(Cow<'a, str>),
}

impl Value<'_> {
    /// A duration for which there is no "off"; `reason` says why.
    pub(super) fn duration(&self, reason: &str) -> Result<Duration, String> {
        self.duration_or_off()?.ok_or_else(|| format!("cannot be \"off\": {reason}"))
    }

    pub(super) fn duration_or_off(&self) -> Result<Option<Duration>, String> {
        match self {
            Self::Text(text) => parse_duration(text),
            Self::Integer(number) => parse_duration(&number.to_string()),
            other => Err(not_a_duration(other)),
        }
    }

    /// A number of bytes.
    pub(super) fn size(&self) -> Result<usize, String> {
        let remedy = "write a number of bytes, or \"64KiB\", \"1MiB\", \"1GiB\"";
        let bytes = match self {
            Self::Text(text) => parse_size(text),
            Self::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| format!("{self} is not a size: {remedy}"))
    }

    /// A number of things.
    pub(super) fn count(&self) -> Result<usize, String> {
        let count = match self {
            Self::Text(text) => parse_digits(text.trim()),
            Self::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        count
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| format!("{self} is not a count: write a whole number"))
    }

    /// A number of bytes, or `"auto"` for what is found out at the start.
    pub(super) fn size_or_auto(&self) -> Result<Option<usize>, String> {
        match self {
            Self::Text(text) if text.trim() == "auto" => Ok(None),
            _ => self.size().map(Some).map_err(|error| format!("{error}, or \"auto\"")),
        }
    }

    /// A rate of things, or `"off"`.
    pub(super) fn rate(&self) -> Result<Option<Rate>, String> {
        let remedy = "write how many a second, such as \"100\", \"100 burst 500\", or \"off\"";
        self.rate_of(parse_digits).ok_or_else(|| format!("{self} is not a rate: {remedy}"))
    }

    /// A rate of bytes, or `"off"`.
    pub(super) fn byte_rate(&self) -> Result<Option<Rate>, String> {
        let remedy = "write how many bytes a second, such as \"64KiB\", \"64KiB burst 1MiB\", or \"off\"";
        self.rate_of(parse_size).ok_or_else(|| format!("{self} is not a rate: {remedy}"))
    }

    /// A rate whose numbers are read so; of nothing a second nobody could live.
    fn rate_of(&self, number: impl Fn(&str) -> Option<u64>) -> Option<Option<Rate>> {
        let text = match self {
            Self::Text(text) => Cow::Borrowed(text.trim()),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            _ => return None,
        };
        if text == "off" {
            return Some(None);
        }
        let positive = |text: &str| u32::try_from(number(text.trim())?).ok().filter(|&count| count > 0);
        let rate = match text.split_once("burst") {
            Some((per_second, burst)) => Rate::per_second(positive(per_second)?).burst(positive(burst)?),
            None => Rate::per_second(positive(&text)?),
        };
        Some(Some(rate))
    }

    pub(super) fn over_rate(&self) -> Result<OverRate, String> {
        let found = match self {
            Self::Text(text) => OverRate::ALL.into_iter().find(|word| word.as_str() == text.trim()),
            _ => None,
        };
        found.ok_or_else(|| {
            let names = OverRate::ALL.map(|word| format!("{:?}", word.as_str())).join(", ");
            format!("{self} is not what can be done over a rate: write one of {names}")
        })
    }

    /// Texts: an array of them, or one text with commas between.
    pub(super) fn list(&self) -> Result<Vec<String>, String> {
        match self {
            Self::Text(text) => text.split(',').map(|item| Ok(item.trim()).and_then(non_empty)).collect(),
            Self::List(items) => items
                .iter()
                .map(|item| match item {
                    Self::Text(text) => non_empty(text.trim()),
                    other => Err(format!("{other} is not a text: write it in quotes")),
                })
                .collect(),
            other => Err(format!("{other} is not a list: write [\"first\", \"second\"]")),
        }
    }

    /// Whether something is done: `true` or `"on"`, `false` or `"off"`.
    pub(super) fn switch(&self) -> Result<bool, String> {
        let word = match self {
            Self::Truth(truth) => return Ok(*truth),
            Self::Text(text) => text.trim(),
            _ => "",
        };
        match word {
            "true" | "on" => Ok(true),
            "false" | "off" => Ok(false),
            _ => Err(format!("{self} is neither true nor false: write one of them")),
        }
    }

    /// The beginning of a path, which [`Settings::problems`](super::Settings::problems) looks at.
    pub(super) fn prefix(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.trim().to_owned()),
            other => Err(format!("{other} is not a path: write \"/ws\"")),
        }
    }

    /// What people call something.
    pub(super) fn name(&self) -> Result<String, String> {
        match self {
            Self::Text(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            other => Err(format!("{other} is not a name: write it in quotes")),
        }
    }

    /// The name of a file.
    pub(super) fn path(&self) -> Result<PathBuf, String> {
        match self {
            Self::Text(text) if !text.trim().is_empty() => Ok(text.trim().into()),
            other => Err(format!("{other} is not the name of a file: write it in quotes")),
        }
    }

    pub(super) fn client_certificates(&self) -> Result<ClientCertificates, String> {
        let found = match self {
            Self::Text(text) => ClientCertificates::ALL.into_iter().find(|word| word.as_str() == text.trim()),
            _ => None,
        };
        found.ok_or_else(|| {
            let names = ClientCertificates::ALL.map(|word| format!("{:?}", word.as_str())).join(", ");
            format!("{self} says nothing about certificates of clients: write one of {names}")
        })
    }

    pub(super) fn overflow(&self) -> Result<Overflow, String> {
        let found = match self {
            Self::Text(text) => Overflow::ALL.into_iter().find(|policy| policy.as_str() == text.trim()),
            _ => None,
        };
        found.ok_or_else(|| {
            let names = Overflow::ALL.map(|policy| format!("{:?}", policy.as_str())).join(", ");
            format!("{self} is not what can be done on overflow: write one of {names}")
        })
    }

    pub(super) fn compression(&self) -> Result<Compression, String> {
        let found = match self {
            Self::Text(text) => Compression::ALL.into_iter().find(|word| word.as_str() == text.trim()),
            _ => None,
        };
        found.ok_or_else(|| {
            let names = Compression::ALL.map(|word| format!("{:?}", word.as_str())).join(", ");
            format!("{self} says nothing about compression: write one of {names}")
        })
    }
}

/// As in the file, shortened to what fits into a sentence.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::List(_) => f.write_str("an array"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

fn non_empty(item: &str) -> Result<String, String> {
    if item.is_empty() {
        Err("an item of the list is empty: remove it".to_owned())
    } else {
        Ok(item.to_owned())
    }
}

/// Reads a duration: `"250ms"`, `"30s"`, `"5m"`, `"1h"`, of at most a year, or `"off"`, which is `None`.
///
/// # Errors
///
/// A text that says what is wrong and what to write instead.
pub(super) fn parse_duration(text: &str) -> Result<Option<Duration>, String> {
    let trimmed = text.trim();
    if trimmed == "off" {
        return Ok(None);
    }
    let digits = trimmed.trim_end_matches(|character: char| !character.is_ascii_digit());
    let Some(number) = parse_digits(digits) else {
        return Err(not_a_duration(&Value::Text(text)));
    };
    let milliseconds = match &trimmed[digits.len()..] {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60 * 1000),
        "h" => number.checked_mul(3600 * 1000),
        "" => return Err(format!("{trimmed:?} has no unit: write \"{trimmed}s\" for seconds, or ms, m, h")),
        _ => return Err(not_a_duration(&Value::Text(text))),
    };
    milliseconds
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .map(Some)
        .ok_or_else(|| format!("{trimmed:?} is too long: write at most \"8760h\", which is a year"))
}

fn not_a_duration(found: &Value<'_>) -> String {
    format!("{found} is not a duration: write one like \"250ms\", \"30s\", \"5m\", \"1h\", or \"off\"")
}

/// Bytes, or binary multiples of them. "64KB" is refused, since it means 64,000 to some and 65,536 to others.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, unit) = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((text, 1));
    parse_digits(digits.trim_end())?.checked_mul(unit)
}

/// A whole number, with `_` between digits where the author likes, as in TOML.
fn parse_digits(text: &str) -> Option<u64> {
    let groups: Vec<_> = text.split('_').collect();
    let digits_only = |group: &&str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    if groups.iter().all(digits_only) { groups.concat().parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_so_many_a_second_and_so_many_at_once() {
        let table = [
            ("100", Some(Some(Rate::per_second(100)))),
            (" 1_000 burst 4096 ", Some(Some(Rate::per_second(1000).burst(4096)))),
            ("off", Some(None)),
            ("0", None),
            ("1 burst 0", None),
            ("-1", None),
            ("100/s", None),
            ("100 burst", None),
            ("burst 100", None),
            ("4294967296", None),
            ("", None),
        ];
        for (text, rate) in table {
            assert_eq!(Value::Text(text).rate().ok(), rate, "{text}");
            if let Some(Some(rate)) = rate {
                assert_eq!(Value::Text(&rate.to_string()).rate(), Ok(Some(rate)), "{text}");
            }
        }
        assert_eq!(Value::Integer(7).rate(), Ok(Some(Rate::per_second(7))));
        let bytes = Value::Text("64KiB burst 1MiB").byte_rate();
        assert_eq!(bytes, Ok(Some(Rate::per_second(65_536).burst(1_048_576))));
        assert!(Value::Text("64KiB").rate().is_err(), "only bytes have units");
        assert!(Value::Truth(true).rate().is_err());
    }

    #[test]
    fn a_size_may_be_found_out_at_the_start() {
        assert_eq!(Value::Text("auto").size_or_auto(), Ok(None));
        assert_eq!(Value::Text("1GiB").size_or_auto(), Ok(Some(1 << 30)));
        assert!(Value::Text("some").size_or_auto().is_err());
    }

    #[test]
    fn yes_and_no_are_true_and_false() {
        assert_eq!((Value::Truth(true).switch(), Value::Text("false").switch()), (Ok(true), Ok(false)));
        assert_eq!(
            Value::Text("yes").switch(),
            Err("\"yes\" is neither true nor false: write one of them".into())
        );
    }

    #[test]
    fn durations_have_a_unit() {
        let table = [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("0s", 0),
            (" 30s ", 30_000),
            ("8760h", 31_536_000_000),
        ];
        for (text, milliseconds) in table {
            assert_eq!(parse_duration(text), Ok(Some(Duration::from_millis(milliseconds))), "{text}");
        }
        assert_eq!(parse_duration("off"), Ok(None));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_remedy() {
        assert_eq!(
            parse_duration("30"),
            Err("\"30\" has no unit: write \"30s\" for seconds, or ms, m, h".into())
        );
        for text in
            ["", "s", "fast", "-1s", "+1s", "1.5s", "30 s", "30sec", "5min", "1d", "1m30s", "Off", "1S", "٣s"]
        {
            let remedy = "is not a duration: write one like \"250ms\", \"30s\", \"5m\", \"1h\", or \"off\"";
            assert_eq!(parse_duration(text), Err(format!("{text:?} {remedy}")), "{text}");
        }
        for text in ["8761h", "18446744073709551615h", "18446744073709551615ms"] {
            let remedy = "is too long: write at most \"8760h\", which is a year";
            assert_eq!(parse_duration(text), Err(format!("{text:?} {remedy}")), "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_binary_multiples() {
        let table = [
            ("0", Some(0)),
            ("65536", Some(65_536)),
            ("65_536", Some(65_536)),
            ("64KiB", Some(65_536)),
            (" 64 KiB ", Some(65_536)),
            ("1MiB", Some(1 << 20)),
            ("3GiB", Some(3 << 30)),
            ("18446744073709551615", Some(u64::MAX)),
            ("", None),
            ("KiB", None),
            ("64KB", None),
            ("64kib", None),
            ("64k", None),
            ("1.5MiB", None),
            ("-1", None),
            ("+1", None),
            ("_1", None),
            ("1__0", None),
            ("18446744073709551616", None),
            ("18446744073709551615KiB", None),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }
}
