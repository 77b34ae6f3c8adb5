//! TCP addresses: how to listen at one, and, where several processes do (`SO_REUSEPORT`), how to go without turning anybody away.
//!
//! The kernel gives each connection that begins to one of the listeners, and lets it wait there: a listener that closes takes with it who
//! waits, and who is half connected. So one that goes sees to it first that nobody new comes to it, and then takes in who is there.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use super::BACKLOG;

/// Listens at the first address that this means and that is free; where it is shared, beside others who do.
pub(super) async fn bind(address: &str, shared: bool) -> io::Result<TcpListener> {
    let mut last = None;
    for address in lookup_host(address).await? {
        match bind_one(address, shared) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
}

fn bind_one(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    if shared {
        share(&socket)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
fn share(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin")))))]
fn share(_: &TcpSocket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no `SO_REUSEPORT`"))
}

/// From now on connections that begin here are not answered. Their peers ask again after a second, as always when a packet was lost; by
/// then this listener is gone, and they come to another one. Who is half connected already gets through.
///
/// It is a filter for packets, which drops those with the flag SYN (RFC 9293 3.1: the second bit of byte 13).
///
/// # Errors
/// This system cannot do it: who comes at the last moment may be turned away.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn turn_to_the_others(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    // The instructions of the classic Berkeley packet filter, as in <linux/filter.h>.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const SYN: u32 = 0x02;
    const NOTHING: u32 = 0;
    const EVERYTHING: u32 = u32::MAX;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, NOTHING),
        SockFilter::new(RETURN, 0, 0, EVERYTHING),
    ])
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn turn_to_the_others(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpStream;
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;

    const CLIENTS: usize = 64;

    /// Of so many, half would have come to the one that closes. None does, and all of them reach the other.
    #[tokio::test]
    async fn who_comes_meanwhile_goes_to_the_others() {
        let stays = bind("127.0.0.1:0", true).await.unwrap();
        let address = stays.local_addr().unwrap();
        let goes = bind(&address.to_string(), true).await.unwrap();
        turn_to_the_others(&goes).unwrap();
        let mut coming = JoinSet::new();
        for _ in 0..CLIENTS {
            coming.spawn(TcpStream::connect(address));
        }
        // On this thread they begin now; the kernel has decided when that has returned.
        tokio::task::yield_now().await;
        let nobody = socket2::SockRef::from(&goes).accept().unwrap_err();
        assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
        drop(goes);
        let all = async {
            for _ in 0..CLIENTS {
                stays.accept().await.unwrap();
            }
            coming.join_all().await
        };
        let all = timeout(Duration::from_secs(60), all).await.expect("they ask again after a second");
        assert!(all.iter().all(Result::is_ok));
    }

    /// All of them are there at once, as when an application reconnects: nobody has to ask again.
    #[tokio::test]
    async fn many_may_wait() {
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let many = allowed.trim().parse::<usize>().unwrap().min(500);
        for shared in [false, true] {
            let listener = bind("127.0.0.1:0", shared).await.unwrap();
            let address = listener.local_addr().unwrap();
            let begin = std::time::Instant::now();
            let mut waiting = Vec::new();
            while waiting.len() < many {
                waiting.push(
                    timeout(Duration::from_secs(60), TcpStream::connect(address)).await.unwrap().unwrap(),
                );
            }
            // The first time that one asks again is a second after it was dropped; here it would be some hundred that are.
            assert!(begin.elapsed() < Duration::from_secs(30), "{shared}: {:?}", begin.elapsed());
        }
    }

    /// Who is half connected, or waits already, is not concerned.
    #[tokio::test]
    async fn who_waits_is_still_let_in() {
        let goes = bind("127.0.0.1:0", true).await.unwrap();
        let address = goes.local_addr().unwrap();
        let early = TcpStream::connect(address).await.unwrap();
        turn_to_the_others(&goes).unwrap();
        let (stream, peer) = goes.accept().await.unwrap();
        assert_eq!(peer, early.local_addr().unwrap());
        drop(stream);
    }
}
