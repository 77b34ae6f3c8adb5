//! The processes of the example: a Redis server, and nodes. They end with this one, and no others do.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use endpoint_runtime::{Error, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

/// How long a process may take to start, or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// The server that carries messages from node to node.
const SERVER: &str = "redis-server";

/// It listens on this machine, and leaves nothing behind; the port follows.
const ARGUMENTS: [&str; 7] = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"];

/// Starts the server and so many nodes, and ends them all when it is told to, or one of them ends.
pub(crate) async fn run(count: usize) -> Result<()> {
    // From here on nothing is left behind, whenever it is told to end.
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (mut server, url) = start_server().await?;
    let mut nodes = Vec::new();
    for number in 1..=count {
        let name = format!("node-{number}");
        let (node, address) = start_node(&name, &url).await?;
        println!("{name}: open http://{address}/");
        nodes.push(node);
    }
    println!("{count} nodes over {url}. Ctrl-C ends all.");
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
        _ = server.wait() => eprintln!("{SERVER} has ended"),
    }
    for node in &mut nodes {
        // Nobody is at the other end any more: it stops.
        drop(node.stdin.take());
    }
    for mut node in nodes {
        // One that does not stop in time is killed where it is dropped.
        let _ = timeout(PATIENCE, node.wait()).await;
    }
    Ok(server.kill().await?)
}

async fn start_server() -> Result<(Child, String)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let mut command = Command::new(SERVER);
    command.args(ARGUMENTS).arg(port.to_string());
    // Ctrl-C is for this process: the server has to outlive the nodes.
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut server = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::msg(format!("{SERVER} is not installed: `sudo apt-get install {SERVER}`"))
        }
        _ => Error::from(error),
    })?;
    let reached = async {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        reached = timeout(PATIENCE, reached) => reached.map_err(|_| Error::msg("the server does not listen"))?,
        status = server.wait() => return Err(Error::msg(format!("{SERVER} has ended: {}", status?))),
    }
    Ok((server, format!("redis://127.0.0.1:{port}")))
}

/// A node, and its address, which it says when it is ready.
async fn start_node(name: &str, url: &str) -> Result<(Child, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["node", name, url]);
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut node = command.spawn()?;
    let lines = node.stdout.take().map(|stdout| BufReader::new(stdout).lines());
    let Some(mut lines) = lines else { return Err(Error::msg("a node without an output")) };
    match timeout(PATIENCE, lines.next_line()).await {
        Ok(Ok(Some(address))) => Ok((node, address)),
        _ => Err(Error::msg(format!("{name} has not started"))),
    }
}
