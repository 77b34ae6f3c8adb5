//! yawc on hyper: without compression (`plain`), or with permessage-deflate and no context kept (`deflate`).

use std::io;

use bench_programs::serve;
use futures_util::SinkExt;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use yawc::{CompressionLevel, OpCode, Options, UpgradeFut, WebSocket};

async fn echo(upgraded: UpgradeFut) -> yawc::Result<()> {
    let mut socket = upgraded.await?;
    loop {
        let frame = socket.next_frame().await?;
        match frame.opcode() {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.send(frame).await?,
            _ => {}
        }
    }
}

async fn handshake(mut request: Request<Incoming>, deflate: bool) -> yawc::Result<Response<Empty<Bytes>>> {
    let options = Options::default().with_utf8();
    let options = if deflate {
        let fast = options.with_compression_level(CompressionLevel::fast());
        fast.server_no_context_takeover().client_no_context_takeover()
    } else {
        options.without_compression()
    };
    let (response, upgraded) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(echo(upgraded));
    Ok(response)
}

fn main() -> io::Result<()> {
    let deflate = std::env::args().nth(1).as_deref() == Some("deflate");
    serve(move |stream| async move {
        let service = service_fn(|request| handshake(request, deflate));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let _ = connection.with_upgrades().await;
    })
}
