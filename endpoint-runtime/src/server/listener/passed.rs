//! Sockets that the service manager passes to this process: systemd's socket activation (`sd_listen_fds(3)`).

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::OnceLock;

use listenfd::ListenFd;

/// A socket that was passed.
#[derive(Debug)]
pub(super) enum Passed {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The sockets of this process, each with its name. They stay open for as long as the process lives, so that a server can be started
/// again; what servers have are copies.
static PASSED: OnceLock<Vec<(String, io::Result<Passed>)>> = OnceLock::new();

/// Those of this name; all of them without one.
///
/// # Errors
/// There is none, or one of them is not a socket that listens.
pub(super) fn named(name: Option<&str>) -> io::Result<Vec<Passed>> {
    let all = PASSED.get_or_init(receive);
    let chosen = all.iter().filter(|(other, _)| name.is_none_or(|name| name == other));
    let copies = chosen.map(|(_, passed)| match passed {
        Ok(Passed::Tcp(socket)) => socket.try_clone().map(Passed::Tcp),
        Ok(Passed::Unix(socket)) => socket.try_clone().map(Passed::Unix),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    });
    let copies = copies.collect::<io::Result<Vec<_>>>()?;
    if copies.is_empty() {
        let names: Vec<_> = all.iter().map(|(name, _)| format!("`{name}`")).collect();
        let passed = if names.is_empty() { "no socket at all".to_owned() } else { names.join(", ") };
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("the service manager has passed {passed}"),
        ));
    }
    Ok(copies)
}

/// Takes what was passed. It can be taken once in the life of a process, and is not handed on to its children.
fn receive() -> Vec<(String, io::Result<Passed>)> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..passed.len() {
        // What a manager calls a socket to which it gives no name (`sd_listen_fds_with_names(3)`).
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown");
        sockets.push((name.to_owned(), take(&mut passed, index)));
    }
    sockets
}

fn take(passed: &mut ListenFd, index: usize) -> io::Result<Passed> {
    // A socket of the wrong family is left in its place, so that the other may be tried.
    let taken = match passed.take_tcp_listener(index) {
        Ok(tcp) => tcp.map(Passed::Tcp),
        Err(_) => passed.take_unix_listener(index)?.map(Passed::Unix),
    };
    let taken = taken.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    match &taken {
        Passed::Tcp(socket) => socket.set_nonblocking(true)?,
        Passed::Unix(socket) => socket.set_nonblocking(true)?,
    }
    Ok(taken)
}
