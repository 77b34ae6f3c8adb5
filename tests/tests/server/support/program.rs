//! [`Program`]: the program `served`, as a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::soon;

pub(crate) struct Program {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
}

impl Program {
    /// Where it is.
    pub(crate) const PATH: &str = env!("CARGO_BIN_EXE_served");

    /// Runs it in a directory, with these arguments and variables; of ours it has none that are the runtime's business.
    pub(crate) fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::run_with(Self::PATH, directory, arguments, variables, Stdio::null())
    }

    /// Runs what becomes it in the end, with this input.
    pub(crate) fn run_with(
        path: &str,
        directory: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
        input: Stdio,
    ) -> Self {
        let mut command = Command::new(path);
        command.current_dir(directory).args(arguments);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("ENDPOINT_") || text == "RUST_LOG" || text == "NOTIFY_SOCKET" {
                command.env_remove(name);
            }
        }
        command.envs(variables.iter().copied());
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let errors = child.stderr.take().unwrap();
        Program { child, output, errors }
    }

    /// The next line of its output; `None` at the end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        soon("a line of the program", self.output.next_line()).await.unwrap()
    }

    /// Reads its output until this line.
    pub(crate) async fn until(&mut self, line: &str) {
        while let Some(other) = self.line().await {
            if other == line {
                return;
            }
        }
        let errors = self.ended().await.1;
        panic!("the program has never said {line:?}; its errors:\n{errors}");
    }

    /// Waits until it listens.
    pub(crate) async fn ready(&mut self) -> SocketAddr {
        while let Some(line) = self.line().await {
            if let Some(address) = line.strip_prefix("ready ") {
                return address.parse().unwrap();
            }
        }
        let errors = self.ended().await.1;
        panic!("the program has never been ready; its errors:\n{errors}");
    }

    /// Sends it a signal, `TERM` or `INT`.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
        assert!(status.success());
    }

    /// Waits for its end: its status and what it wrote to its standard error output.
    pub(crate) async fn ended(&mut self) -> (ExitStatus, String) {
        let mut errors = String::new();
        soon("the errors", self.errors.read_to_string(&mut errors)).await.unwrap();
        (soon("the end of the program", self.child.wait()).await.unwrap(), errors)
    }
}
