//! A NATS server of one's own, or several that are one cluster, and what they can be asked.

use std::ffi::OsString;
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use std::{fs, io};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::server_process::{Program, ServerProcess, free_port, temporary};

/// `nats-server`, as `tests/install nats` has it.
#[derive(Debug)]
pub struct NatsServer(ServerProcess);

const PROGRAM: Program = Program {
    name: "nats-server",
    ready: "Server is ready",
    logs_errors: true,
    arguments: |port, folder| {
        let mut arguments: Vec<OsString> =
            ["--addr", "127.0.0.1", "--port", &port.to_string(), "--store_dir"].map(OsString::from).into();
        arguments.push(folder.into());
        arguments
    },
};

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
        NatsServer(ServerProcess::start(&PROGRAM, options).await)
    }

    /// One with this configuration, as in its file.
    ///
    /// # Panics
    ///
    /// As [`with`](Self::with).
    pub async fn configured(configuration: &str) -> Self {
        let file = temporary("nats-configuration");
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

    /// Its URL, without anything between.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }
}

impl Deref for NatsServer {
    type Target = ServerProcess;

    fn deref(&self) -> &ServerProcess {
        &self.0
    }
}

impl DerefMut for NatsServer {
    fn deref_mut(&mut self) -> &mut ServerProcess {
        &mut self.0
    }
}
