//! A program that the tests run as a process of its own: what `main` does of itself, settings from a file and from the environment,
//! logs, signals, and `Sessions::current` can only be seen from outside.
//!
//! `served [--bind ADDRESS] [--max-message-size BYTES]` serves the endpoints below until it is told to stop; `served current` shows
//! what `Sessions::current` is with none, one and two servers, and `served context` what `ApplicationContext::current` is. What it has to say it writes line by line to its standard output.

#![forbid(unsafe_code)]

use endpoint_runtime as runtime;
use runtime::prelude::*;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Says everything back, and tells the output when a session opens and closes.
#[server_endpoint("/echo")]
struct Echo;

#[handlers]
impl Echo {
    #[on_open]
    fn open(&self, application: ApplicationContext) {
        println!("opened");
        if let Some(opened) = application.find::<UnboundedSender<()>>() {
            // Nobody listens any more when the program is about to end.
            let _ = opened.send(());
        }
    }

    #[on_message]
    fn text(&self, text: Text) -> Text {
        text
    }

    #[on_close]
    fn close(&self, reason: &CloseReason) {
        println!("closed {reason}");
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut exporter = runtime::export_all();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| Error::msg(format!("{argument} needs a value")));
        match argument.as_str() {
            "current" => return current().await,
            "context" => return context().await,
            "--bind" => exporter = exporter.bind(value()?),
            "--max-message-size" => {
                let bytes = value()?.parse()?;
                exporter = exporter.configure(move |settings| settings.max_message_size = bytes);
            }
            other => return Err(Error::msg(format!("what is {other}?"))),
        }
    }
    exporter.on_ready(ready).serve().await?;
    println!("returned");
    Ok(())
}

/// What `ApplicationContext::current` is outside of all code of servers.
async fn context() -> Result<()> {
    tell_context("none");
    // A server whose components are being built is not there for others yet.
    let start = |number: u32| {
        let exporter = runtime::export_all().bind("127.0.0.1:0").provide(number);
        exporter.before_listening(|_| async {
            let elsewhere = std::thread::spawn(|| tell_context("starting"));
            elsewhere.join().map_err(|_| Error::msg("it panicked"))
        })
    };
    let one = start(1).start().await?;
    tell_context("one");
    let two = runtime::export_all().bind("127.0.0.1:0").provide(2u32).start().await?;
    tell_context("two");
    two.shutdown().await;
    tell_context("one again");
    one.shutdown().await;
    tell_context("none again");
    Ok(())
}

fn tell_context(servers: &str) {
    let found = ApplicationContext::try_current().and_then(|context| context.find::<u32>());
    match found {
        Some(number) => println!("{servers}: {number}"),
        None => println!("{servers}: no context"),
    }
}

/// Says where it listens, and when it is no longer to be sent anybody.
fn ready(server: &runtime::Server) {
    println!("ready {}", server.local_addr());
    let mut readiness = server.readiness();
    tokio::spawn(async move {
        if readiness.wait_for(|ready| !ready).await.is_ok() {
            println!("not ready");
        }
    });
}

/// Waits for one session between the steps, so that the registries can be told apart by what is in them.
async fn current() -> Result<()> {
    tell("none");
    let (opened, mut opening) = unbounded_channel::<()>();
    let one = runtime::export_all().bind("127.0.0.1:0").provide(opened).start().await?;
    println!("ready {}", one.local_addr());
    opening.recv().await;
    tell("one");
    let two = runtime::export_all().bind("127.0.0.1:0").start().await?;
    tell("two");
    two.shutdown().await;
    tell("one again");
    one.shutdown().await;
    tell("none again");
    Ok(())
}

fn tell(servers: &str) {
    match Sessions::try_current() {
        Some(sessions) => println!("{servers}: {} session", sessions.count()),
        None => println!("{servers}: no registry"),
    }
}
