//! Restarts under load: ten times a new process takes over from an old one while clients come in all the time, and nobody is turned away.
//!
//! Each client connects once, opens a WebSocket, and stays until the server closes it. How many come in a second depends on the machine; that
//! each of them is served does not.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // In a test it is an assertion.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;

const RESTARTS: usize = 10;
/// 200 in a second.
const BETWEEN_CLIENTS: Duration = Duration::from_millis(5);
/// How many a process serves at least.
const CLIENTS_OF_EACH: usize = 40;
/// How many wait at its door when it is told to stop.
const AT_THE_DOOR: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// One process of the server.
struct Server {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
    opened: usize,
    closed: usize,
}

impl Server {
    async fn start(bind: &str, reuse_port: bool, passed: Option<OwnedFd>) -> (Self, SocketAddr) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_served"));
        command.args(["--bind", bind]).env("ENDPOINT_REUSE_PORT", reuse_port.to_string());
        // What is logged about each session would only fill the pipe.
        command.env("RUST_LOG", "warn");
        match passed {
            // The first descriptor is where the program looks for it, and the number of the process may be left out.
            Some(socket) => command.env("LISTEN_FDS", "1").env("LISTEN_FDS_FIRST_FD", "0").stdin(socket),
            None => command.stdin(Stdio::null()),
        };
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let errors = child.stderr.take().unwrap();
        let mut server = Server { child, output, errors, opened: 0, closed: 0 };
        while let Some(line) = server.line().await {
            if let Some(address) = line.strip_prefix("ready ") {
                let address = address.parse().unwrap();
                return (server, address);
            }
        }
        panic!("it has not started: {}", server.errors().await);
    }

    /// The next line of its output. It may have sessions before it says that it is ready.
    async fn line(&mut self) -> Option<String> {
        let line = soon("a line", self.output.next_line()).await.unwrap()?;
        self.opened += usize::from(line == "opened");
        self.closed += usize::from(line.starts_with("closed "));
        Some(line)
    }

    async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
    }

    /// Stops it as a service manager does, and waits for its end: how many sessions it had, each of which has ended in order.
    async fn stop(self) -> usize {
        self.signal("TERM").await;
        self.ended().await
    }

    async fn ended(mut self) -> usize {
        while self.line().await.is_some() {}
        let status = soon("its end", self.child.wait()).await.unwrap();
        let errors = self.errors().await;
        assert!(status.success() && errors.is_empty(), "{status}: {errors}");
        assert_eq!(self.opened, self.closed, "every session has its end");
        self.opened
    }

    /// Stops it at a bad moment: it has been busy, and many have come meanwhile whom it has not let in.
    async fn stop_behind_its_time(self, crowd: &Crowd) -> usize {
        self.signal("STOP").await;
        crowd.come(AT_THE_DOOR).await;
        self.signal("TERM").await;
        self.signal("CONT").await;
        self.ended().await
    }

    async fn errors(&mut self) -> String {
        let mut errors = String::new();
        self.errors.read_to_string(&mut errors).await.unwrap();
        errors
    }
}

async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Comes, stays until it is sent away, and says with which code; or what went wrong.
async fn visit(address: SocketAddr, counts: Arc<Counts>) -> Result<u16, String> {
    let visit = async {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("connecting: {error}"))?;
        counts.came.fetch_add(1, Ordering::Relaxed);
        let request = format!("ws://{address}/echo");
        let handshake = tokio_tungstenite::client_async(request, stream).await;
        let (mut socket, _) = handshake.map_err(|error| format!("the handshake: {error}"))?;
        counts.served.fetch_add(1, Ordering::Relaxed);
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(close)))) => return Ok(u16::from(close.code)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(format!("the session: {error}")),
                None => return Err("the session has ended without a close frame".to_owned()),
            }
        }
    };
    timeout(PATIENCE, visit).await.unwrap_or_else(|_| Err("no end in sight".to_owned()))
}

/// How many clients have a connection, and how many a session.
#[derive(Default)]
struct Counts {
    came: AtomicUsize,
    served: AtomicUsize,
}

/// Clients that come in all the time, until they are told to stop.
struct Crowd {
    counts: Arc<Counts>,
    stop: tokio::sync::oneshot::Sender<()>,
    coming: tokio::task::JoinHandle<JoinSet<Result<u16, String>>>,
}

impl Crowd {
    fn to(address: SocketAddr) -> Self {
        let counts = Arc::<Counts>::default();
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let counted = Arc::clone(&counts);
        let coming = tokio::spawn(async move {
            let mut visits = JoinSet::new();
            let mut clock = interval(BETWEEN_CLIENTS);
            clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = clock.tick() => drop(visits.spawn(visit(address, Arc::clone(&counted)))),
                    _ = &mut stopped => return visits,
                }
            }
        });
        Crowd { counts, stop, coming }
    }

    /// Waits until so many more have been served.
    async fn served(&self, more: usize) {
        rises("clients that are served", &self.counts.served, more).await;
    }

    /// Waits until so many more have come.
    async fn come(&self, more: usize) {
        rises("clients", &self.counts.came, more).await;
    }

    /// Nobody comes any more.
    async fn stop(self) -> JoinSet<Result<u16, String>> {
        self.stop.send(()).unwrap();
        self.coming.await.unwrap()
    }
}

async fn rises(what: &str, count: &AtomicUsize, more: usize) {
    let goal = count.load(Ordering::Relaxed) + more;
    let mut clock = interval(BETWEEN_CLIENTS);
    let reached = async {
        while count.load(Ordering::Relaxed) < goal {
            clock.tick().await;
        }
    };
    soon(what, reached).await;
}

/// Ten restarts by `next`, which stops the given process and starts another, in whatever order.
async fn restarts<F>(first: Server, address: SocketAddr, mut next: F)
where
    F: AsyncFnMut(usize, Server, &Crowd) -> (usize, Server),
{
    let crowd = Crowd::to(address);
    let mut server = first;
    let mut sessions = 0;
    for round in 0..RESTARTS {
        crowd.served(CLIENTS_OF_EACH).await;
        let (closed, new) = next(round, server, &crowd).await;
        assert!(closed > 0, "process {round} has served nobody");
        sessions += closed;
        server = new;
    }
    crowd.served(CLIENTS_OF_EACH).await;
    let counts = Arc::clone(&crowd.counts);
    let mut visits = crowd.stop().await;
    let (count, mut outcomes) = (visits.len(), Vec::new());
    // From the last one nobody takes over, so it serves all who are on the way.
    let mut clock = interval(BETWEEN_CLIENTS);
    while counts.served.load(Ordering::Relaxed) < count && outcomes.iter().all(Result::is_ok) {
        while let Some(outcome) = visits.try_join_next() {
            outcomes.push(outcome.unwrap());
        }
        clock.tick().await;
    }
    let stopping = tokio::spawn(server.stop());
    while let Some(outcome) = soon("a client's end", visits.join_next()).await {
        outcomes.push(outcome.unwrap());
    }
    sessions += soon("the end of the last", stopping).await.unwrap();
    let lost: Vec<_> = outcomes.iter().filter(|outcome| !matches!(outcome, Ok(1001 | 1012))).collect();
    assert!(lost.is_empty(), "{} of {count} clients: {lost:?}", lost.len());
    assert_eq!(sessions, count, "a session for each client");
}

/// Old and new listen side by side, each with a socket of its own (`SO_REUSEPORT`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn side_by_side_nobody_is_turned_away() {
    let (first, address) = Server::start("127.0.0.1:0", true, None).await;
    restarts(first, address, async |_, old, crowd| {
        let (new, again) = Server::start(&address.to_string(), true, None).await;
        assert_eq!(again, address);
        (old.stop_behind_its_time(crowd).await, new)
    })
    .await;
}

/// The socket is somebody else's, who passes it to each process. The new one may even start when the old one is gone: who comes meanwhile waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_passed_socket_nobody_is_turned_away() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // As many as may come while there is nobody.
    let socket = socket.listen(4096).unwrap().into_std().unwrap();
    let address = socket.local_addr().unwrap();
    let pass = || Some(OwnedFd::from(socket.try_clone().unwrap()));
    let (first, _) = Server::start("systemd:", false, pass()).await;
    restarts(first, address, async |round, old, crowd| {
        if round % 2 == 0 {
            let (new, _) = Server::start("systemd:", false, pass()).await;
            (old.stop_behind_its_time(crowd).await, new)
        } else {
            let closed = old.stop_behind_its_time(crowd).await;
            (closed, Server::start("systemd:", false, pass()).await.0)
        }
    })
    .await;
}
