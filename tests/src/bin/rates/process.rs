//! Another process of this program, and how long processes ran.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::Result;
use crate::node::Kind;

/// A [node](crate::node). It ends with this value.
pub(crate) struct Process {
    _child: Child,
    number: u32,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) port: u16,
}

impl Process {
    pub(crate) async fn start(kind: Kind, role: &str, url: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["node", kind.name(), role, url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let number = child.id().ok_or("it has ended")?;
        let stdin = child.stdin.take().ok_or("it is piped")?;
        let lines = BufReader::new(child.stdout.take().ok_or("it is piped")?).lines();
        let mut process = Process { _child: child, number, stdin, lines, port: 0 };
        process.port = process.line().await?.strip_prefix("ready ").ok_or("it is not ready")?.parse()?;
        Ok(process)
    }

    pub(crate) async fn tell(&mut self, line: &str) -> Result<()> {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.stdin.flush().await?)
    }

    pub(crate) async fn line(&mut self) -> Result<String> {
        Ok(self.lines.next_line().await?.ok_or("the other process has ended")?)
    }

    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu(self.number)
    }
}

/// How long all threads of a process ran so far, in user space and in the kernel.
pub(crate) fn cpu(process: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may have ended meanwhile.
        let Ok(schedstat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanoseconds += schedstat.split_whitespace().next().ok_or("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}
