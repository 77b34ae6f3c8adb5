//! A Redis server of one's own: on a free port of 127.0.0.1, with chosen options, and with everything done to it that befalls servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, io, process};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// `redis-server`, as `tests/install redis` has it. It ends with this value, and what it has stored goes with it.
///
/// Its folder and its port stay the same however often it is killed and started again.
#[derive(Debug)]
pub struct RedisServer {
    folder: PathBuf,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// One that writes nothing to disk.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// One that writes every change to disk before it answers, so that it comes back with its data from whatever happens to it.
    pub async fn that_keeps() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// One with these options, as on its command line. By default it writes nothing to disk.
    ///
    /// # Panics
    ///
    /// Panics if there is no `redis-server`, or if it does not like its options.
    pub async fn with(options: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let serial = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("endpoint-redis-{}-{serial}", process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let options = options.iter().map(ToString::to_string).collect();
        let mut server = RedisServer { folder, port: 0, options, child: None };
        // Between being found and being taken, a free port may be taken by somebody else.
        for _ in 0..10 {
            server.port = free_port().await.expect("a free port");
            if server.launch().await {
                return server;
            }
        }
        panic!("redis-server ends at once with {:?}", server.options);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its URL, without anything between.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
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

    /// Asks it to end (`SIGTERM`), and waits until it has.
    pub async fn shut_down(&mut self) {
        self.signal("TERM").await;
        if let Some(mut child) = self.child.take() {
            child.wait().await.expect("our own process can be waited for");
        }
    }

    /// Starts it again after [`kill`](Self::kill) or [`shut_down`](Self::shut_down): on the same port, with what it had written to disk.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        // Who has connected to the port meanwhile, from the port itself, goes away again.
        for _ in 0..10 {
            if self.launch().await {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("redis-server does not start again");
    }

    /// Deletes what it has written to disk. It has to be down.
    pub fn forget(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        fs::remove_dir_all(&self.folder).expect("our own folder");
        fs::create_dir_all(&self.folder).expect("our own folder");
    }

    /// Stops it without ending it (`SIGSTOP`): its connections stay, and nobody answers.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// Lets it run again (`SIGCONT`).
    pub async fn thaw(&self) {
        self.signal("CONT").await;
    }

    /// Has it carry out a command over a connection of its own, and says what it answers, each part on a line. An error is one that
    /// begins with `-`.
    pub async fn command(&self, words: &[&str]) -> io::Result<String> {
        let mut connection = BufReader::new(TcpStream::connect(self.address()).await?);
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        let mut parts = 1;
        while parts > 0 {
            parts -= 1;
            let mut line = String::new();
            connection.read_line(&mut line).await?;
            let line = line.trim_end();
            match (line.get(..1), line.get(1..).unwrap_or_default()) {
                (Some("*"), count) => parts += count.parse().unwrap_or(0),
                (Some("$"), "-1") => answer.push('\n'),
                (Some("$"), length) => {
                    let mut bytes = vec![0; length.parse().unwrap_or(0) + 2];
                    connection.read_exact(&mut bytes).await?;
                    answer.push_str(&String::from_utf8_lossy(&bytes[..bytes.len() - 2]));
                    answer.push('\n');
                }
                (Some("-"), _) => answer.push_str(&format!("{line}\n")),
                (Some(_), rest) => answer.push_str(&format!("{rest}\n")),
                (None, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        answer.truncate(answer.trim_end().len());
        Ok(answer)
    }

    /// A number that it tells of itself in a section of `INFO`; 0 if it does not.
    pub async fn figure(&self, section: &str, name: &str) -> usize {
        let told = self.command(&["INFO", section]).await.unwrap_or_default();
        let lines = told.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.filter_map(|figure| figure.trim().parse().ok()).next().unwrap_or(0)
    }

    /// Makes it a replica of another one, and waits until it has all that the other has.
    pub async fn follow(&self, primary: &RedisServer) {
        self.follow_at(primary.address()).await;
    }

    /// The same by an address, as of a proxy between the two.
    pub async fn follow_at(&self, primary: SocketAddr) {
        let (host, port) = (primary.ip().to_string(), primary.port().to_string());
        self.command(&["REPLICAOF", &host, &port]).await.expect("a running server");
        // It says so to nobody: it has to be asked.
        while !self.command(&["INFO", "replication"]).await.is_ok_and(|info| info.contains("link_status:up"))
        {
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Makes a replica a primary.
    pub async fn promote(&self) {
        self.command(&["REPLICAOF", "NO", "ONE"]).await.expect("a running server");
    }

    /// Whether it has come so far that it accepts connections.
    async fn launch(&mut self) -> bool {
        let mut child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--dir".as_ref(), self.folder.as_os_str()])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is on PATH (`tests/install redis`)");
        let mut log = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        while let Ok(Some(line)) = log.next_line().await {
            if line.contains("Ready to accept connections") {
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
        if let Some(process) = self.process() {
            let status = Command::new("kill").args(["-s", name, &process.to_string()]).status().await;
            assert!(status.is_ok_and(|status| status.success()), "kill -s {name} {process}");
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port())
}
