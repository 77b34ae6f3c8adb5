//! [`ServerProcess`]: the server of somebody else as a process of one's own, on a free port of 127.0.0.1, with everything done to it that
//! befalls servers.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, io};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// A program that is a server.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// What it logs when it accepts connections …
    pub(crate) ready: &'static str,
    /// … to its standard error, or else to its standard output.
    pub(crate) logs_errors: bool,
    /// How it is told its port, and the folder for what it stores.
    pub(crate) arguments: fn(u16, &Path) -> Vec<OsString>,
}

/// It ends with this value, and what it has stored goes with it. Its folder and its port stay the same however often it is killed and started
/// again.
#[derive(Debug)]
pub struct ServerProcess {
    program: &'static Program,
    folder: PathBuf,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl ServerProcess {
    /// One with these options, as on its command line.
    ///
    /// # Panics
    ///
    /// Panics if there is no such program, or if it does not like its options.
    pub(crate) async fn start(program: &'static Program, options: &[&str]) -> Self {
        let folder = temporary(program.name);
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let options = options.iter().map(ToString::to_string).collect();
        let mut server = ServerProcess { program, folder, port: 0, options, child: None };
        // Between being found and being taken, a free port may be taken by somebody else.
        for _ in 0..10 {
            server.port = free_port().await.expect("a free port");
            if server.launch().await {
                return server;
            }
        }
        panic!("{} ends at once with {:?}", program.name, server.options);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
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
        panic!("{} does not start again", self.program.name);
    }

    /// Stops it without ending it (`SIGSTOP`): its connections stay, and nobody answers.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// Lets it run again (`SIGCONT`).
    pub async fn thaw(&self) {
        self.signal("CONT").await;
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

    /// Whether it has come so far that it accepts connections.
    async fn launch(&mut self) -> bool {
        let Program { name, ready, logs_errors, arguments } = *self.program;
        let piped = |is_log: bool| if is_log { Stdio::piped() } else { Stdio::null() };
        // Debian has some in a place that is not on everybody's PATH.
        let path = format!("{}:/usr/sbin", env::var("PATH").unwrap_or_default());
        let mut child = Command::new(name)
            .env("PATH", path)
            .args(arguments(self.port, &self.folder))
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(piped(!logs_errors))
            .stderr(piped(logs_errors))
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}, which `tests/install` has: {error}"));
        let is_ready = match (child.stdout.take(), child.stderr.take()) {
            (Some(log), _) => until(log, ready).await,
            (_, Some(log)) => until(log, ready).await,
            _ => false,
        };
        if is_ready {
            self.child = Some(child);
        } else {
            let _ = child.wait().await;
        }
        is_ready
    }

    async fn signal(&self, name: &str) {
        if let Some(process) = self.process() {
            let status = Command::new("kill").args(["-s", name, &process.to_string()]).status().await;
            assert!(status.is_ok_and(|status| status.success()), "kill -s {name} {process}");
        }
    }
}

impl Drop for ServerProcess {
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

/// A name in the folder for temporary files that nobody else has.
pub(crate) fn temporary(what: &str) -> PathBuf {
    static NAMED: AtomicU32 = AtomicU32::new(0);
    let serial = NAMED.fetch_add(1, Ordering::Relaxed);
    env::temp_dir().join(format!("endpoint-{what}-{}-{serial}", process::id()))
}

/// A port of 127.0.0.1 that nobody listens on.
pub(crate) async fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port())
}

/// Whether a log comes to say this before it ends.
async fn until(log: impl AsyncRead + Send + Unpin + 'static, ready: &str) -> bool {
    let mut log = BufReader::new(log).lines();
    while let Ok(Some(line)) = log.next_line().await {
        if line.contains(ready) {
            // A full pipe would stop it.
            tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
            return true;
        }
    }
    false
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
