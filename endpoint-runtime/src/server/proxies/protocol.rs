//! The PROXY protocol, version 1 and 2: a header before everything else on a connection says whose it is.
//!
//! Exactly the header is read, and what stands behind it is left for whoever speaks next. It is required where it is expected
//! at all: whoever may leave it out could write one of its own.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::session::Ends;

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";
/// The longest header of version 1, with the end of its line.
const LONGEST_LINE: usize = 107;
/// The most that may stand behind the first 16 bytes of version 2. Addresses need 216 at most; the rest is what proxies add.
const MOST: usize = 4096;
/// What says, in version 2, how the client talked to the proxy, and the bit in it for an encrypted connection.
const SSL: u8 = 0x20;
const CLIENT_SSL: u8 = 1;

/// Why a connection cannot be gone on with.
#[derive(Debug)]
pub(in crate::server) enum Fault {
    /// It begins with something else.
    Missing,
    /// It is not as it must be.
    Malformed(String),
    Io(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing => f.write_str("it does not begin with a header of the PROXY protocol"),
            Fault::Malformed(what) => write!(f, "the header of the PROXY protocol is malformed: {what}"),
            Fault::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("it ends within the header of the PROXY protocol")
            }
            Fault::Io(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

/// Reads the header, and says between whom the connection is.
///
/// # Errors
/// There is none, or none that can be understood.
pub(in crate::server) async fn read(io: &mut (impl AsyncRead + Unpin), ends: Ends) -> Result<Ends, Fault> {
    // The shortest line of version 1 has 15 bytes: so nothing is read that is not the header's.
    let mut header = vec![0; SIGNATURE.len()];
    io.read_exact(&mut header).await?;
    if header == SIGNATURE {
        header.resize(16, 0);
        io.read_exact(&mut header[SIGNATURE.len()..]).await?;
        let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if length > MOST {
            return Err(Fault::Malformed(format!("{length} bytes are too many")));
        }
        header.resize(16 + length, 0);
        io.read_exact(&mut header[16..]).await?;
        return second(&header, ends);
    }
    if !header.starts_with(WORD) {
        return Err(Fault::Missing);
    }
    while !header.ends_with(b"\r\n") {
        if header.len() == LONGEST_LINE {
            return Err(Fault::Malformed("the line is too long".to_owned()));
        }
        header.push(io.read_u8().await?);
    }
    first(&header, ends)
}

/// The ends that a header of version 1 tells.
fn first(header: &[u8], ends: Ends) -> Result<Ends, Fault> {
    let header = v1::Header::try_from(header).map_err(|error| Fault::Malformed(error.to_string()))?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(four) => between(ends, of_four(four)),
        v1::Addresses::Tcp6(six) => between(ends, of_six(six)),
        v1::Addresses::Unknown => ends,
    })
}

/// The ends that a header of version 2 tells. One with the command LOCAL is about the proxy's own connection, as for a health check.
fn second(header: &[u8], ends: Ends) -> Result<Ends, Fault> {
    let header = v2::Header::try_from(header).map_err(|error| Fault::Malformed(error.to_string()))?;
    if header.command == v2::Command::Local {
        return Ok(ends);
    }
    if header.protocol == v2::Protocol::Datagram {
        return Err(Fault::Malformed("it is about datagrams".to_owned()));
    }
    let told = match header.addresses {
        v2::Addresses::IPv4(four) => between(ends, of_four(four)),
        v2::Addresses::IPv6(six) => between(ends, of_six(six)),
        v2::Addresses::Unix(_) => Ends { remote: None, local: None, proxy: ends.remote, ..ends },
        v2::Addresses::Unspecified => ends,
    };
    let mut secure = told.secure;
    for more in header.tlvs() {
        let more = more.map_err(|error| Fault::Malformed(error.to_string()))?;
        if more.kind == SSL {
            secure = more.value.first().is_some_and(|bits| bits & CLIENT_SSL != 0);
        }
    }
    Ok(Ends { secure, ..told })
}

fn between(ends: Ends, (remote, local): (SocketAddr, SocketAddr)) -> Ends {
    Ends { remote: Some(remote), local: Some(local), proxy: ends.remote, ..ends }
}

fn of_four(told: v1::IPv4) -> (SocketAddr, SocketAddr) {
    let source = (told.source_address, told.source_port).into();
    (source, (told.destination_address, told.destination_port).into())
}

fn of_six(told: v1::IPv6) -> (SocketAddr, SocketAddr) {
    let source = (told.source_address, told.source_port).into();
    (source, (told.destination_address, told.destination_port).into())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn ends() -> Ends {
        let remote = Some("10.0.0.1:5000".parse().unwrap());
        Ends { remote, local: Some("10.0.0.9:80".parse().unwrap()), ..Ends::default() }
    }

    /// What is read, and what is left.
    fn read_all(mut bytes: &[u8]) -> (Result<Ends, Fault>, &[u8]) {
        // Bytes in memory are there at once.
        let result = read(&mut bytes, ends()).now_or_never().unwrap();
        (result, bytes)
    }

    /// Version 2, with the byte of version and command, and that of family and protocol.
    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend((body.len() as u16).to_be_bytes());
        header.extend(body);
        header
    }

    const FOUR: [u8; 12] = [192, 0, 2, 1, 203, 0, 113, 1, 0x12, 0x67, 0, 80];

    fn shown(ends: &Ends) -> String {
        let address = |address: Option<SocketAddr>| address.map_or("?".to_owned(), |a| a.to_string());
        let (remote, local, proxy) = (address(ends.remote), address(ends.local), address(ends.proxy));
        format!("{remote} {local} by {proxy}{}", if ends.secure { " secure" } else { "" })
    }

    #[test]
    fn what_is_told() {
        let own = "10.0.0.1:5000 10.0.0.9:80 by ?";
        let four = "192.0.2.1:4711 203.0.113.1:80 by 10.0.0.1:5000";
        let mut six = "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec();
        six.extend("2001:db8::2".parse::<std::net::Ipv6Addr>().unwrap().octets());
        six.extend([0x12, 0x67, 0, 80]);
        let with = |more: &[u8]| [&FOUR[..], more].concat();
        let table: Vec<(Vec<u8>, &str)> = vec![
            (b"PROXY TCP4 192.0.2.1 203.0.113.1 4711 80\r\n".to_vec(), four),
            (
                b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n".to_vec(),
                "[2001:db8::1]:4711 [2001:db8::2]:80 by 10.0.0.1:5000",
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), own),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), own),
            (binary(0x21, 0x11, &FOUR), four),
            (binary(0x21, 0x21, &six), "[2001:db8::1]:4711 [2001:db8::2]:80 by 10.0.0.1:5000"),
            (binary(0x21, 0x31, &[b'a'; 216]), "? ? by 10.0.0.1:5000"),
            (binary(0x21, 0x00, &[]), own),
            (binary(0x20, 0x00, &[]), own),
            (binary(0x20, 0x11, &FOUR), own),
            // A TLV that says nothing; one that says that the client came encrypted, and one that it did not.
            (binary(0x21, 0x11, &with(&[4, 0, 2, 0, 0])), four),
            (
                binary(0x21, 0x11, &with(&[0x20, 0, 5, 1, 0, 0, 0, 0])),
                "192.0.2.1:4711 203.0.113.1:80 by 10.0.0.1:5000 secure",
            ),
            (binary(0x21, 0x11, &with(&[0x20, 0, 5, 0, 0, 0, 0, 0])), four),
        ];
        for (header, expected) in table {
            let behind = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            let (result, rest) = read_all(&behind);
            let told = result.unwrap_or_else(|fault| panic!("{}: {fault}", header.escape_ascii()));
            assert_eq!(shown(&told), expected, "{}", header.escape_ascii());
            assert_eq!(rest, b"GET / HTTP/1.1\r\n", "{}", header.escape_ascii());
        }
    }

    #[test]
    fn what_is_none() {
        let long = format!("PROXY UNKNOWN {}\r\n", "a".repeat(100));
        let mut huge = binary(0x21, 0x11, &FOUR);
        huge[14..16].copy_from_slice(&(MOST as u16 + 1).to_be_bytes());
        let table: Vec<(Vec<u8>, &str)> = vec![
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "it does not begin"),
            (b"\r\n\r\n\0\r\nQUIT ------".to_vec(), "it does not begin"),
            (b"PROXY TCP4 192.0.2.1 203.0.113.1 4711\r\n".to_vec(), "malformed"),
            (b"PROXY TCP4 192.0.2.256 203.0.113.1 4711 80\r\n".to_vec(), "malformed"),
            (b"PROXY TCP4 192.0.2.1 203.0.113.1 4711 65536\r\n".to_vec(), "malformed"),
            (b"PROXY UDP4 192.0.2.1 203.0.113.1 4711 80\r\n".to_vec(), "malformed"),
            (b"PROXY \xff\xff\xff\xff\xff\xff\xff\r\n".to_vec(), "malformed"),
            (long.into_bytes(), "the line is too long"),
            (huge, "4097 bytes are too many"),
            (binary(0x11, 0x11, &FOUR), "malformed"),
            (binary(0x22, 0x11, &FOUR), "malformed"),
            (binary(0x21, 0x41, &FOUR), "malformed"),
            (binary(0x21, 0x12, &FOUR), "datagrams"),
            (binary(0x21, 0x11, &FOUR[..11]), "malformed"),
            (binary(0x21, 0x11, &[&FOUR[..], &[4, 0, 9, 0]].concat()), "malformed"),
            (b"PROXY TCP4 192".to_vec(), "it ends within"),
            (SIGNATURE.to_vec(), "it ends within"),
            (b"".to_vec(), "it ends within"),
        ];
        for (header, expected) in table {
            let fault = read_all(&header).0.expect_err(&header.escape_ascii().to_string()).to_string();
            assert!(fault.contains(expected), "{}: {fault}", header.escape_ascii());
        }
    }

    proptest! {
        /// Whatever comes, nobody panics, and no more is read than a header may be long.
        #[test]
        fn anything_can_be_read(
            mut bytes in prop::collection::vec(any::<u8>(), 0..400),
            begin in prop::sample::select(vec![&b""[..], &SIGNATURE, b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN"]),
            command in prop::sample::select(vec![0x20_u8, 0x21, 0x00, 0xff]),
            family in prop::sample::select(vec![0x11_u8, 0x21, 0x31, 0x00]),
            length in 0..260_u16,
        ) {
            let mut header = begin.to_vec();
            if begin == SIGNATURE {
                header.extend([command, family]);
                header.extend(length.to_be_bytes());
            }
            header.append(&mut bytes);
            let (_, rest) = read_all(&header);
            prop_assert!(header.len() - rest.len() <= 16 + MOST);
        }
    }
}
