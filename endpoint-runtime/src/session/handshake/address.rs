//! Addresses in as few bytes as they need: most have 7, where a `SocketAddr` that may be missing has 32.

use std::net::{SocketAddr, SocketAddrV6};

const NONE: u8 = 0;
const V4: u8 = 4;
const V6: u8 = 6;

/// How many bytes it is written in.
pub(super) fn len(address: Option<SocketAddr>) -> usize {
    match address {
        None => 1,
        Some(SocketAddr::V4(_)) => 7,
        Some(SocketAddr::V6(_)) => 27,
    }
}

pub(super) fn write(bytes: &mut Vec<u8>, address: Option<SocketAddr>) {
    match address {
        None => bytes.push(NONE),
        Some(SocketAddr::V4(address)) => {
            bytes.push(V4);
            bytes.extend_from_slice(&address.ip().octets());
            bytes.extend_from_slice(&address.port().to_ne_bytes());
        }
        Some(SocketAddr::V6(address)) => {
            bytes.push(V6);
            bytes.extend_from_slice(&address.ip().octets());
            bytes.extend_from_slice(&address.port().to_ne_bytes());
            bytes.extend_from_slice(&address.flowinfo().to_ne_bytes());
            bytes.extend_from_slice(&address.scope_id().to_ne_bytes());
        }
    }
}

/// Reads what was written, and leaves what is behind it.
pub(super) fn read(bytes: &mut &[u8]) -> Option<SocketAddr> {
    match take(bytes)? {
        [V4] => {
            let (ip, port) = (take::<4>(bytes)?, take(bytes)?);
            Some(SocketAddr::from((ip, u16::from_ne_bytes(port))))
        }
        [V6] => {
            let (ip, port) = (take::<16>(bytes)?, u16::from_ne_bytes(take(bytes)?));
            let (flow, scope) = (u32::from_ne_bytes(take(bytes)?), u32::from_ne_bytes(take(bytes)?));
            Some(SocketAddrV6::new(ip.into(), port, flow, scope).into())
        }
        _ => None,
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let all = [None, Some("127.0.0.1:8080"), Some("[2001:db8::1]:65535"), Some("[fe80::1%3]:1"), None];
        let all = all.map(|address| address.map(|address| address.parse().unwrap()));
        let mut bytes = Vec::new();
        all.iter().for_each(|address| write(&mut bytes, *address));
        assert_eq!(all.map(len).iter().sum::<usize>(), bytes.len());
        let mut rest = &bytes[..];
        assert_eq!(all.map(|_| read(&mut rest)), all);
        assert!(rest.is_empty() && read(&mut rest).is_none());
    }
}
