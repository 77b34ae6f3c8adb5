//! [`Node`]: a process of `clustered`, and all that happens to processes.

use std::env;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A connection of a client.
pub(crate) type Link = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long whatever has to happen may take before it counts as never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// After what time a server that has not started is started again.
const AGAIN: Duration = Duration::from_millis(500);

/// A server of a cluster. It ends with this value.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: SocketAddr,
    commands: Mutex<Option<Link>>,
    panics: Arc<AtomicUsize>,
}

impl Node {
    /// One with the engine of this URL, and with these arguments.
    pub(crate) async fn start(engine: &str, arguments: &[&str]) -> Self {
        Self::start_with(engine, arguments, &[]).await
    }

    /// The same with environment variables. An engine that does not answer in time is an error at the start, after which whoever supervises
    /// servers starts them again.
    pub(crate) async fn start_with(engine: &str, arguments: &[&str], variables: &[(&str, &OsStr)]) -> Self {
        let began = Instant::now();
        loop {
            if let Some(node) = Self::launch(engine, arguments, variables).await {
                return node;
            }
            assert!(began.elapsed() < PATIENCE, "it does not start");
            sleep(AGAIN).await;
        }
    }

    /// One that is ready, or has ended before it was.
    async fn launch(engine: &str, arguments: &[&str], variables: &[(&str, &OsStr)]) -> Option<Self> {
        let program = env::current_exe().unwrap().with_file_name("clustered");
        let mut child = Command::new(program)
            .arg(engine)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("RUST_BACKTRACE", "0")
            .kill_on_drop(true)
            .spawn()
            .expect("`clustered` is beside this program");
        let panics = Arc::new(AtomicUsize::new(0));
        let errors = child.stderr.take().unwrap();
        tokio::spawn(count_panics(BufReader::new(errors).lines(), Arc::clone(&panics)));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(line) = line.strip_prefix("ready ") {
                    return Some(line.to_owned());
                }
            }
            None
        });
        let ready = first.await.expect("it starts in time")?;
        let (address, _id) = ready.split_once(' ').unwrap();
        let address = address.parse().unwrap();
        // A full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Node { child, address, commands: Mutex::new(None), panics })
    }

    /// A connection to one of its endpoints.
    pub(crate) async fn connect(&self, path: &str) -> Link {
        let url = format!("ws://{}{path}", self.address);
        timeout(PATIENCE, connect_async(url)).await.expect("a handshake in time").expect("a handshake").0
    }

    /// What it answers to a command.
    pub(crate) async fn ask(&self, command: &str) -> Value {
        let mut commands = self.commands.lock().await;
        let link = match &mut *commands {
            Some(link) => link,
            none => none.insert(self.connect("/commands").await),
        };
        link.send(Message::text(command)).await.unwrap();
        let answer = timeout(PATIENCE * 6, async {
            loop {
                let text = link.next().await.expect("an answer").expect("an answer");
                // What is said to all is said to this session too, and is no answer.
                if let Ok(answer) = serde_json::from_str(text.to_text().unwrap_or_default()) {
                    return answer;
                }
            }
        });
        answer.await.unwrap_or_else(|_| panic!("no answer to {command} in time"))
    }

    /// How often something has panicked in it.
    pub(crate) fn panics(&self) -> usize {
        self.panics.load(Ordering::Relaxed)
    }

    /// Waits until it answers so.
    pub(crate) async fn until(&self, command: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let answer = timeout(PATIENCE, async {
            loop {
                last = self.ask(command).await;
                if is_so(&last) {
                    return last.clone();
                }
                sleep(Duration::from_millis(20)).await;
            }
        });
        match answer.await {
            Ok(answer) => answer,
            Err(_) => panic!("{command}: still {last}"),
        }
    }

    /// Waits until it knows so many nodes, itself too.
    pub(crate) async fn knows(&self, nodes: usize) {
        self.until("nodes", |answer| answer.as_array().is_some_and(|all| all.len() == nodes)).await;
    }

    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn shut_down(&mut self) {
        self.signal("TERM").await;
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.process().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
    }

    fn process(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// The memory that it has now, bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The CPU time that it has used. Linux counts it in hundredths of a second.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(&self.process().to_string())
    }
}

/// Passes on what a node complains of.
async fn count_panics(mut lines: Lines<BufReader<ChildStderr>>, panics: Arc<AtomicUsize>) {
    while let Ok(Some(line)) = lines.next_line().await {
        // That it has lost the engine, for one, is what is to be expected here.
        if ["panicked at", " ERROR ", "Error: "].iter().any(|word| line.contains(word)) {
            eprintln!("a node says: {line}");
        }
        panics.fetch_add(usize::from(line.contains("panicked at")), Ordering::Relaxed);
    }
}

/// The CPU time of a process.
pub(crate) fn cpu_of(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
