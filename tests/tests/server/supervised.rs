//! Under a service manager: sockets that it passes (`sd_listen_fds(3)`), and what it is told (`sd_notify(3)`).

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use tokio::net::UnixDatagram;

use super::support::{Directory, Program, Raw, closed, connect, says_back, soon, text, upgrade};

/// Runs `served` as a service manager does: with a socket as its file descriptor 3.
fn activated(directory: &Directory, socket: impl Into<OwnedFd>, name: &str, bind: &str) -> Program {
    // A shell makes its input the descriptor 3, and becomes the program, whose process number is its own.
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
    let arguments = ["-c", script, Program::PATH, "--bind", bind];
    Program::run_with(
        "/bin/sh",
        directory.path(),
        &arguments,
        &[("LISTEN_FDNAMES", name)],
        socket.into().into(),
    )
}

fn any_port() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn a_passed_socket_is_served_by_whatever_name() {
    for (name, bind) in [("web", "systemd:web"), ("web", "systemd:"), ("", "systemd:unknown")] {
        let directory = Directory::new();
        let (socket, address) = any_port();
        let mut program = activated(&directory, socket, name, bind);
        assert_eq!(program.ready().await, address, "{name} {bind}");
        let mut client = connect(address, "/echo").await;
        says_back(&mut client, "hello").await;
        program.signal("TERM").await;
        assert_eq!(closed(client).await, Some((1012, "the server is restarting".to_owned())));
        program.until("returned").await;
        assert!(program.ended().await.0.success());
    }
}

/// Who comes while nobody serves waits for the next process.
#[tokio::test]
async fn a_passed_socket_keeps_who_comes_meanwhile() {
    let directory = Directory::new();
    let (socket, address) = any_port();
    let mut first = activated(&directory, socket.try_clone().unwrap(), "web", "systemd:web");
    first.ready().await;
    first.signal("TERM").await;
    assert!(first.ended().await.0.success());
    let mut raw = Raw::connect(address).await;
    raw.send(upgrade("/echo", &[])).await;
    let mut second = activated(&directory, socket, "web", "systemd:web");
    second.ready().await;
    assert_eq!(raw.answer().await.unwrap().status, 101);
    raw.send(text("hello")).await;
    assert_eq!(raw.text().await, "hello");
}

/// A Unix socket that was passed is the manager's, and so is its file.
#[tokio::test]
async fn the_file_of_a_passed_unix_socket_stays() {
    let directory = Directory::new();
    let path = directory.file("app.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let mut program = activated(&directory, socket, "web", "systemd:web");
    program.ready().await;
    let mut raw = Raw::connect_unix(&path).await;
    assert_eq!(raw.ask(upgrade("/echo", &[])).await.status, 101);
    program.signal("TERM").await;
    assert_eq!(raw.frame().await.unwrap().reason().0, 1012);
    drop(raw);
    assert!(program.ended().await.0.success());
    assert!(path.exists());
}

#[tokio::test]
async fn a_socket_that_was_not_passed_is_a_problem() {
    let directory = Directory::new();
    let (socket, _) = any_port();
    let mut program = activated(&directory, socket, "admin", "systemd:web");
    let (status, errors) = program.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.contains("cannot listen on systemd:web: the service manager has passed `admin`"),
        "{errors}"
    );
    let mut program = Program::run(directory.path(), &["--bind", "systemd:web"], &[]);
    let (status, errors) = program.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("the service manager has passed no socket at all"), "{errors}");
}

async fn told(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let count = soon("a notification", manager.recv(&mut bytes)).await.unwrap();
    String::from_utf8(bytes[..count].to_vec()).unwrap()
}

#[tokio::test]
async fn the_manager_is_told_when_it_is_ready_and_when_it_stops() {
    let directory = Directory::new();
    let socket = directory.file("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    let variables = [("NOTIFY_SOCKET", socket.to_str().unwrap()), ("ENDPOINT_DRAIN_TIMEOUT", "20s")];
    let mut program = Program::run(directory.path(), &["--bind", "127.0.0.1:0"], &variables);
    assert_eq!(told(&manager).await, "READY=1\n");
    program.ready().await;
    program.signal("TERM").await;
    assert_eq!(told(&manager).await, "STOPPING=1\nEXTEND_TIMEOUT_USEC=22000000\n");
    assert!(program.ended().await.0.success());
}

#[tokio::test]
async fn a_manager_that_cannot_be_reached_is_no_error() {
    let directory = Directory::new();
    let nobody = directory.file("nobody");
    let variables = [("NOTIFY_SOCKET", nobody.to_str().unwrap())];
    let mut program = Program::run(directory.path(), &["--bind", "127.0.0.1:0"], &variables);
    program.ready().await;
    program.signal("TERM").await;
    let (status, errors) = program.ended().await;
    assert!(status.success() && errors.contains("cannot reach the service manager"), "{errors}");
}
