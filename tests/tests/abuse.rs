//! Attacks: while one goes on, a well-behaved peer is served all the time, newcomers are let in, and the server's memory stays bounded.
//!
//! The server is a process of its own, `besieged`. How long the peer waits for an echo is printed for each attack, beside how long it waited
//! before (`--nocapture` shows it); a slow machine fails nothing, as long as every echo comes.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // In a test it is an assertion.
#![cfg(target_os = "linux")] // Where memory is looked at.

use std::future::Future;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// One attack at a time: the figures are to be of one.
static ALONE: Mutex<()> = Mutex::const_new(());

const PATIENCE: Duration = Duration::from_secs(60);

/// Echoes of the peer before an attack, and at least during one.
const ECHOES: usize = 200;

async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// `besieged`, with room for many files.
struct Program {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let script = "ulimit -n 16000 2>/dev/null || ulimit -n $(ulimit -Hn); exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_besieged")]).args(arguments);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ENDPOINT_"))
        {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Program { child, output }
    }

    /// The rest of the line that begins with this word.
    async fn says(&mut self, word: &str) -> String {
        loop {
            let line = soon(word, self.output.next_line()).await.unwrap();
            let line = line.unwrap_or_else(|| panic!("the program has never said {word:?}"));
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Memory that it has, KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// Who is attacked.
struct Siege {
    name: &'static str,
    server: Program,
    address: SocketAddr,
    /// Where it speaks TLS.
    encrypted: SocketAddr,
    /// What every connection begins with.
    hello: &'static str,
}

/// How long echoes took, sorted.
struct Figures(Vec<Duration>);

impl Figures {
    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.2?}, p99 {:.2?} of {}", self.at(50), self.at(99), self.0.len())
    }
}

impl Siege {
    async fn lay(name: &'static str, variables: &[(&str, &str)]) -> Self {
        let mut server = Program::run(&["serve"], variables);
        let addresses = server.says("ready").await;
        let (address, encrypted) = addresses.split_once(' ').unwrap();
        let (address, encrypted) = (address.parse().unwrap(), encrypted.parse().unwrap());
        Siege { name, server, address, encrypted, hello: "" }
    }

    /// The well-behaved peer.
    async fn peer(&self) -> WebSocketStream<TcpStream> {
        peer(self.address, self.hello.replace("ATTACKER", "192.0.2.200")).await
    }

    /// Lets the attack go on beside the peer, until both are done. The memory that it costs, KiB, is at most `bound`.
    async fn stand<T>(&mut self, bound: u64, attack: impl Future<Output = T>) -> T {
        let mut peer = self.peer().await;
        let (never, mut watch) = watch::channel(());
        let quiet = timeout(PATIENCE, echoes(&mut peer, &mut watch.clone(), ECHOES, true)).await;
        let quiet = quiet.expect("echoes in peace");
        let before = self.server.memory();
        let served = async {
            let figures = echoes(&mut peer, &mut watch, ECHOES, false).await;
            (figures, self.server.memory())
        };
        // Who comes while it goes on is let in.
        let newcomers = async {
            for _ in 0..5 {
                let mut newcomer = self.peer().await;
                echo(&mut newcomer).await;
            }
        };
        let attack = async {
            let result = attack.await;
            newcomers.await;
            drop(never);
            result
        };
        let ((attacked, after), result) = tokio::join!(served, attack);
        println!("{}: {quiet} before; {attacked} under attack; {before} KiB, then {after} KiB", self.name);
        assert!(after <= before + bound, "{}: {before} KiB, then {after} KiB", self.name);
        echo(&mut peer).await;
        result
    }

    /// What the server has counted of this, at its end.
    async fn counted(mut self, name: &str) -> u64 {
        drop(self.server.child.stdin.take());
        let counted = self.server.says("counted").await;
        let (_, rest) =
            counted.split_once(&format!(" {name}: ")).unwrap_or_else(|| panic!("{name}: {counted}"));
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    }

    /// A connection of the attacker's.
    async fn connect(&self) -> TcpStream {
        let mut stream = soon("TCP", TcpStream::connect(self.address)).await.unwrap();
        let hello = self.hello.replace("ATTACKER", "192.0.2.1");
        // It may be closed already: then that is found later.
        let _ = stream.write_all(hello.as_bytes()).await;
        stream
    }

    /// A session of the attacker's.
    async fn session(&self) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon("a head", stream.read_u8()).await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", head.escape_ascii());
        stream
    }
}

const HANDSHAKE: &str = "GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async fn peer(address: SocketAddr, hello: String) -> WebSocketStream<TcpStream> {
    let mut stream = soon("TCP", TcpStream::connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(hello.as_bytes()).await.unwrap();
    let request = "ws://localhost/echo".into_client_request().unwrap();
    soon("the handshake", tokio_tungstenite::client_async(request, stream)).await.unwrap().0
}

async fn echo(peer: &mut WebSocketStream<TcpStream>) -> Duration {
    let begin = Instant::now();
    soon("sending", peer.send(Message::text("are you there"))).await.unwrap();
    let answer = soon("an echo", peer.next()).await.unwrap().unwrap();
    assert_eq!(answer.into_text().unwrap().as_str(), "are you there");
    begin.elapsed()
}

/// So many echoes, or, unless that is enough, more of them until the other end of the channel goes.
async fn echoes(
    peer: &mut WebSocketStream<TcpStream>,
    until: &mut watch::Receiver<()>,
    count: usize,
    enough: bool,
) -> Figures {
    let mut took = Vec::new();
    while took.len() < count || (!enough && until.has_changed().is_ok()) {
        took.push(echo(peer).await);
        // As somebody who types: an attack of some seconds is not to be drowned by this.
        sleep(Duration::from_millis(2)).await;
    }
    took.sort_unstable();
    Figures(took)
}

/// Reads to the end, well or not, and says what came.
async fn ended(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match soon("the end", stream.read(&mut buffer)).await {
            Ok(0) | Err(_) => return all,
            Ok(bytes) => all.extend_from_slice(&buffer[..bytes]),
        }
    }
}

/// Waits until the server has accepted whoever has connected: it does so in their order. Of those who connect faster the kernel may forget
/// some, who are not told.
async fn all_are_accepted(address: SocketAddr) {
    let mut stream = soon("TCP", TcpStream::connect(address)).await.unwrap();
    stream.write_all(b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(ended(&mut stream).await.starts_with(b"HTTP/1.1 404"));
}

/// A frame of a client whose mask is zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend(payload);
    frame
}

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_trickle() {
    let _alone = ALONE.lock().await;
    let mut siege = Siege::lay("slow heads", &[("ENDPOINT_HEAD_TIMEOUT", "1s")]).await;
    let address = siege.address;
    let attack = join_all((0..300).map(|_| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /echo HTTP/1.1\r\nX-Slow: ").await.unwrap();
        let (mut read, mut write) = stream.split();
        let mut byte = [0; 1];
        loop {
            tokio::select! {
                end = read.read(&mut byte) => match end {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                () = sleep(Duration::from_millis(100)) => if write.write_all(b"a").await.is_err() { return },
            }
        }
    }));
    soon("all are closed", siege.stand(32 * 1024, attack)).await;
    assert_eq!(siege.counted("slow_heads").await, 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_say_nothing() {
    let _alone = ALONE.lock().await;
    let mut siege = Siege::lay("silent peers", &[("ENDPOINT_HEAD_TIMEOUT", "1s")]).await;
    let address = siege.address;
    let attack = async {
        let mut silent = Vec::new();
        while silent.len() < 500 {
            silent.push(TcpStream::connect(address).await.unwrap());
            if silent.len() % 50 == 0 {
                all_are_accepted(address).await;
            }
        }
        for mut stream in silent {
            assert_eq!(ended(&mut stream).await, b"");
        }
    };
    siege.stand(32 * 1024, attack).await;
    assert_eq!(siege.counted("slow_heads").await, 500);
}

/// A record of TLS that is to have 512 bytes of a handshake, of which one comes at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_handshakes_that_trickle() {
    let _alone = ALONE.lock().await;
    let mut siege = Siege::lay("slow TLS handshakes", &[("ENDPOINT_TLS_HANDSHAKE_TIMEOUT", "1s")]).await;
    let address = siege.encrypted;
    let attack = join_all((0..300).map(|_| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]).await.unwrap();
        let (mut read, mut write) = stream.split();
        let mut byte = [0; 1];
        loop {
            tokio::select! {
                end = read.read(&mut byte) => match end {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                () = sleep(Duration::from_millis(100)) => if write.write_all(b"a").await.is_err() { return },
            }
        }
    }));
    soon("all are closed", siege.stand(32 * 1024, attack)).await;
    assert_eq!(siege.counted("tls_errors").await, 300);
}

/// CVE-2023-44487: to open streams and take them back costs a peer nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_reset_at_once() {
    const CONNECTIONS: usize = 20;
    let _alone = ALONE.lock().await;
    let mut siege = Siege::lay("streams that are reset", &[]).await;
    let address = siege.address;
    let attack = async {
        for _ in 0..CONNECTIONS {
            soon("the server to have enough", reset_streams(address)).await;
        }
    };
    siege.stand(32 * 1024, attack).await;
}

/// Resets streams of one connection until the server closes it.
async fn reset_streams(address: SocketAddr) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    loop {
        // It is not ready any more when the connection has ended.
        let Ok(mut client) = client.clone().ready().await else { break };
        let request = http::Request::get("http://localhost/echo").body(()).unwrap();
        let Ok((_, mut send)) = client.send_request(request, false) else { break };
        send.send_reset(h2::Reason::CANCEL);
        // So that what was sent goes out.
        tokio::task::yield_now().await;
    }
    let _ = connection.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_that_are_half_open() {
    const COUNT: usize = 10_000;
    let _alone = ALONE.lock().await;
    // As long as it takes: they are all to be there at once.
    let mut siege = Siege::lay("10,000 half-open connections", &[("ENDPOINT_HEAD_TIMEOUT", "5m")]).await;
    let address = siege.address.to_string();
    let attack = async {
        let mut attacker = Program::run(&["hold", &address, &COUNT.to_string()], &[]);
        assert_eq!(attacker.says("ready").await, COUNT.to_string());
        attacker
    };
    // 10 KiB for each: before there is a request, nothing is made ready for one.
    let _attacker = siege.stand(100 * 1024, attack).await;
    assert!(siege.counted("connections").await >= COUNT as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_thousand_pings() {
    const EACH: usize = 50_000;
    let _alone = ALONE.lock().await;
    let mut siege = Siege::lay("200,000 pings", &[]).await;
    let mut attackers = Vec::new();
    for _ in 0..4 {
        attackers.push(siege.session().await);
    }
    let attack = join_all(attackers.into_iter().map(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        let pings = frame(PING, b"ping").repeat(EACH / 100);
        let send = async {
            for _ in 0..100 {
                write.write_all(&pings).await.unwrap();
            }
            write.write_all(&frame(TEXT, b"done")).await.unwrap();
        };
        // Each is answered, in order: the newest while the socket takes nothing. What comes after them is the echo.
        let heard = async {
            let (mut pongs, mut answer) = (0, [0; 6]);
            loop {
                soon("a pong", read.read_exact(&mut answer)).await.unwrap();
                match answer[0] {
                    0x8a => pongs += 1,
                    _ => return pongs,
                }
            }
        };
        tokio::join!(send, heard).1
    }));
    let pongs: Vec<usize> = siege.stand(32 * 1024, attack).await;
    assert!(pongs.iter().all(|pongs| (1..=EACH).contains(pongs)), "{pongs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_tiny_messages() {
    const EACH: usize = 50_000;
    let _alone = ALONE.lock().await;
    let limits = [("ENDPOINT_MESSAGE_RATE", "1000 burst 2000"), ("ENDPOINT_OVER_RATE", "drop")];
    let mut siege = Siege::lay("200,000 tiny messages under a rate", &limits).await;
    let mut attackers = Vec::new();
    for _ in 0..4 {
        attackers.push(siege.session().await);
    }
    let attack = join_all(attackers.into_iter().map(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        let messages = frame(TEXT, b"tiny").repeat(EACH / 100);
        let send = async {
            for _ in 0..100 {
                write.write_all(&messages).await.unwrap();
            }
            write.write_all(&frame(PING, b"done")).await.unwrap();
        };
        let heard = async {
            let (mut echoes, mut answer) = (0, [0; 6]);
            loop {
                soon("an echo", read.read_exact(&mut answer)).await.unwrap();
                match answer[0] {
                    TEXT => echoes += 1,
                    _ => return echoes,
                }
            }
        };
        tokio::join!(send, heard).1
    }));
    let echoes: Vec<usize> = siege.stand(32 * 1024, attack).await;
    assert!(echoes.iter().all(|echoes| (2000..=EACH).contains(echoes)), "{echoes:?}");
    assert_eq!(siege.counted("rate_dropped").await as usize, 4 * EACH - echoes.iter().sum::<usize>());
}

/// What is announced costs nothing before it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_announced_as_huge() {
    let _alone = ALONE.lock().await;
    let mut siege = Siege::lay("huge frames", &[]).await;
    let mut attackers = Vec::new();
    for _ in 0..400 {
        attackers.push(siege.session().await);
    }
    let attack = join_all(attackers.into_iter().enumerate().map(|(number, mut stream)| async move {
        // Every other one keeps to the limit, and sends a byte of it.
        let size: u64 = if number % 2 == 0 { 1 << 62 } else { 65_536 };
        let mut frame = vec![TEXT, 0x80 | 127];
        frame.extend(size.to_be_bytes());
        frame.extend([0, 0, 0, 0, b'x']);
        stream.write_all(&frame).await.unwrap();
        if number % 2 == 0 {
            let said = ended(&mut stream).await;
            assert_eq!((said[0], &said[2..4]), (0x88, &1009_u16.to_be_bytes()[..]));
        }
        stream
    }));
    let held = siege.stand(32 * 1024, attack).await;
    drop(held);
}

/// Whoever has one address has a few connections, and the others have the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_connections_from_one_address() {
    let _alone = ALONE.lock().await;
    let limits = [
        ("ENDPOINT_PROXY_PROTOCOL", "true"),
        ("ENDPOINT_MAX_CONNECTIONS_PER_ADDRESS", "50"),
        ("ENDPOINT_MAX_CONNECTIONS", "100"),
    ];
    let mut siege = Siege::lay("too many connections from one address", &limits).await;
    siege.hello = "PROXY TCP4 ATTACKER 203.0.113.1 4711 80\r\n";
    let mut sessions = Vec::new();
    for _ in 0..50 {
        sessions.push(siege.session().await);
    }
    let address = siege.address;
    let hello = siege.hello.replace("ATTACKER", "192.0.2.1") + HANDSHAKE;
    let attack = async {
        let mut refused = 0;
        for _ in 0..1000 {
            let mut stream = soon("TCP", TcpStream::connect(address)).await.unwrap();
            let _ = stream.write_all(hello.as_bytes()).await;
            let said = ended(&mut stream).await;
            assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 503"), "{}", said.escape_ascii());
            refused += 1;
        }
        refused
    };
    let refused: u64 = siege.stand(32 * 1024, attack).await;
    drop(sessions);
    assert_eq!(siege.counted("refused_address").await, refused);
}
