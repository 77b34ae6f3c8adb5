//! A Redis server of one's own, and what it can be asked.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::server_process::{Program, ServerProcess};

/// `redis-server`, as `tests/install redis` has it.
#[derive(Debug)]
pub struct RedisServer(ServerProcess);

const PROGRAM: Program = Program {
    name: "redis-server",
    ready: "Ready to accept connections",
    logs_errors: false,
    arguments: |port, folder| {
        let mut arguments: Vec<OsString> =
            ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]
                .map(OsString::from)
                .into();
        arguments.push(folder.into());
        arguments
    },
};

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
        RedisServer(ServerProcess::start(&PROGRAM, options).await)
    }

    /// Its URL, without anything between.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
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
}

impl Deref for RedisServer {
    type Target = ServerProcess;

    fn deref(&self) -> &ServerProcess {
        &self.0
    }
}

impl DerefMut for RedisServer {
    fn deref_mut(&mut self) -> &mut ServerProcess {
        &mut self.0
    }
}
