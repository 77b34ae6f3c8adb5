//! A NATS server of one's own: on a free port of 127.0.0.1, with chosen options, and with everything done to it that befalls servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, io};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// `nats-server`, as `tests/install nats` has it. It ends with this value.
///
/// Its port stays the same however often it is killed and started again.
#[derive(Debug)]
pub struct NatsServer {
    folder: PathBuf,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl NatsServer {
    /// One that accepts everybody.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// One with JetStream, which keeps its streams in files.
    pub async fn that_keeps() -> Self {
        Self::with(&["--jetstream"]).await
    }

    /// One with these options, as on its command line.
    ///
    /// # Panics
    ///
    /// Panics if there is no `nats-server`, or if it does not like its options.
    pub async fn with(options: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let serial = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("endpoint-nats-{}-{serial}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let options = options.iter().map(ToString::to_string).collect();
        let mut server = NatsServer { folder, port: 0, options, child: None };
        // Between being found and being taken, a free port may be taken by somebody else.
        for _ in 0..10 {
            server.port = free_port().await.expect("a free port");
            if server.launch().await {
                return server;
            }
        }
        panic!("nats-server ends at once with {:?}", server.options);
    }

    /// One with this configuration, as in its file.
    ///
    /// # Panics
    ///
    /// As [`with`](Self::with).
    pub async fn configured(configuration: &str) -> Self {
        static WRITTEN: AtomicU32 = AtomicU32::new(0);
        let serial = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let file = env::temp_dir().join(format!("endpoint-nats-{}-{serial}.conf", process::id()));
        fs::write(&file, configuration).expect("a folder for temporary files");
        let server = Self::with(&["--config", &file.to_string_lossy()]).await;
        // It has read it. Nobody starts it again.
        let _ = fs::remove_file(file);
        server
    }

    /// So many that are one cluster, each with JetStream, and all of them there: they have agreed on a leader.
    pub async fn cluster(size: usize) -> Vec<Self> {
        let mut ports = Vec::new();
        for _ in 0..size {
            ports.push(free_port().await.expect("a free port"));
        }
        let routes: Vec<_> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let mut servers = Vec::new();
        for (number, route) in routes.iter().enumerate() {
            let name = format!("server-{number}");
            let options = ["--jetstream", "--name", &name, "--cluster_name", "tests", "--cluster", route];
            servers.push(Self::with(&[&options[..], &["--routes", &routes.join(",")]].concat()).await);
        }
        for server in &servers {
            while !server.request("$JS.API.INFO", "").await.is_ok_and(|answer| answer.contains("limits")) {
                sleep(Duration::from_millis(50)).await;
            }
        }
        servers
    }

    /// Asks whoever answers for a subject, over a connection of its own. Nobody is an empty answer; a server that does not say so either, as
    /// while it has no leader, is an error after a second.
    pub async fn request(&self, subject: &str, payload: &str) -> io::Result<String> {
        timeout(Duration::from_secs(1), self.ask(subject, payload)).await?
    }

    async fn ask(&self, subject: &str, payload: &str) -> io::Result<String> {
        let mut connection = BufReader::new(TcpStream::connect(self.address()).await?);
        let request = format!(
            "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true}}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{payload}\r\n",
            payload.len()
        );
        connection.write_all(request.as_bytes()).await?;
        let mut line = String::new();
        while connection.read_line(&mut line).await? > 0 {
            let words: Vec<_> = line.split_whitespace().collect();
            if let ["MSG" | "HMSG", .., length] = words[..] {
                let headers =
                    if words[0] == "HMSG" { words[words.len() - 2].parse().unwrap_or(0) } else { 0 };
                let mut answer = vec![0; length.parse().unwrap_or(0)];
                connection.read_exact(&mut answer).await?;
                return Ok(String::from_utf8_lossy(&answer[headers..]).into_owned());
            }
            line.clear();
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// The names of its streams.
    pub async fn streams(&self) -> Vec<String> {
        let answer = self.request("$JS.API.STREAM.NAMES", "").await.expect("JetStream answers");
        // `"streams":["one","other"]`, or null.
        let (_, names) = answer.split_once("\"streams\":").unwrap_or_default();
        let names = names.split(']').next().unwrap_or_default();
        names.split('"').skip(1).step_by(2).filter(|_| names.starts_with('[')).map(str::to_owned).collect()
    }

    /// Which of a [cluster](Self::cluster) leads a stream that they keep together.
    pub async fn leader(servers: &[Self], stream: &str) -> usize {
        let subject = format!("$JS.API.STREAM.INFO.{stream}");
        loop {
            for server in servers {
                let info = server.request(&subject, "").await.unwrap_or_default();
                let leader =
                    info.split_once("\"leader\":\"server-").and_then(|(_, rest)| rest.split('"').next());
                if let Some(leader) = leader.and_then(|leader| leader.parse().ok()) {
                    return leader;
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its URL, without anything between.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Its process id, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Kills it (`SIGKILL`), and waits until it is gone.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("our own process can be killed");
        }
    }

    /// Deletes what it has written to disk. It has to be down.
    pub fn forget(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        fs::remove_dir_all(&self.folder).expect("our own folder");
        fs::create_dir_all(&self.folder).expect("our own folder");
    }

    /// Copies what it has written to disk. It has to be down.
    pub fn copy(&self) -> Copied {
        assert!(self.child.is_none(), "it still runs");
        let copied = Copied(self.folder.with_extension("copy"));
        copy(&self.folder, &copied.0).expect("our own folders");
        copied
    }

    /// Makes its disk what it was when it was [copied](Self::copy). It has to be down.
    pub fn put_back(&mut self, copied: &Copied) {
        self.forget();
        copy(&copied.0, &self.folder).expect("our own folders");
    }

    /// Starts it again after [`kill`](Self::kill), on the same port, with what it had written to disk.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        // Who has connected to the port meanwhile, from the port itself, goes away again.
        for _ in 0..10 {
            if self.launch().await {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("nats-server does not start again");
    }

    /// Stops it without ending it (`SIGSTOP`): its connections stay, and nobody answers.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// Lets it run again (`SIGCONT`).
    pub async fn thaw(&self) {
        self.signal("CONT").await;
    }

    /// Whether it has come so far that it accepts connections.
    async fn launch(&mut self) -> bool {
        // Where Debian has it, which is not on everybody's PATH.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut child = Command::new("nats-server")
            .env("PATH", path)
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .arg("--store_dir")
            .arg(&self.folder)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("nats-server is on PATH (`tests/install nats`)");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        while let Ok(Some(line)) = log.next_line().await {
            if line.contains("Server is ready") {
                // A full pipe would stop it.
                tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
                self.child = Some(child);
                return true;
            }
        }
        let _ = child.wait().await;
        false
    }

    async fn signal(&self, name: &str) {
        if let Some(process) = self.child.as_ref().and_then(Child::id) {
            let status = Command::new("kill").args(["-s", name, &process.to_string()]).status().await;
            assert!(status.is_ok_and(|status| status.success()), "kill -s {name} {process}");
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.start_kill();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What a server had written to disk, until this is dropped.
#[derive(Debug)]
pub struct Copied(PathBuf);

impl Drop for Copied {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

async fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port())
}
