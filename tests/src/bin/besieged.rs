//! The server that `tests/abuse.rs` attacks, as a process of its own whose memory can be looked at; and the one attack that needs more files
//! than a test has.
//!
//! `besieged serve` serves the endpoint below on two ports, with the settings of its environment, until its standard input ends. On the
//! second it speaks TLS, with a certificate of its own making.
//! `besieged hold ADDRESS COUNT` opens so many connections, says nothing on them, and holds them until its standard input ends.

#![forbid(unsafe_code)]

use std::io::Read;
use std::net::TcpStream;

use endpoint_runtime as runtime;
use runtime::prelude::*;
use runtime::{Listen, Tls};

/// Says everything back.
#[server_endpoint("/echo", scope = singleton)]
struct Echo;

#[handlers]
impl Echo {
    #[on_message]
    fn text(&self, text: Text) -> Text {
        text
    }
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve(),
        ["hold", address, count] => hold(address, count.parse()?),
        other => Err(Error::msg(format!("what is {other:?}?"))),
    }
}

#[tokio::main(worker_threads = 2)]
async fn serve() -> Result<()> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let tls = Tls::pem(own.cert.pem(), own.signing_key.serialize_pem());
    let exporter = runtime::export_all().bind("127.0.0.1:0").bind(Listen::on("127.0.0.1:0").tls(tls));
    let server = exporter.start().await?;
    let addresses: Vec<_> = server.addresses().iter().map(ToString::to_string).collect();
    println!("ready {}", addresses.join(" "));
    tokio::task::spawn_blocking(wait).await?;
    let counted = server.container().counters();
    println!("counted {counted:?}");
    server.shutdown().await;
    Ok(())
}

fn hold(address: &str, count: usize) -> Result<()> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        held.push(TcpStream::connect(address)?);
    }
    println!("ready {}", held.len());
    wait();
    Ok(())
}

/// Until nobody holds the other end of the standard input.
fn wait() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
