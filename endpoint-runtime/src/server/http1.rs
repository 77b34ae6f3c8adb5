//! HTTP/1.1 on one connection, by hyper, until it is upgraded or closed.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::door::{Admission, Entry};
use crate::session::Ends;

/// Serves one connection. It returns when the connection has been upgraded or closed.
///
/// A peer that says nothing, or says it too slowly, is closed after `head_timeout`; so is one that stays silent between two requests.
pub(crate) async fn serve<I>(mut admission: Admission, io: I, ends: Ends, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let door = Arc::clone(admission.door());
    let full = admission.full();
    // A server that stops waits for the requests that are being answered, as it does for its sessions.
    let _under_way = door.tasks().token();
    let settings = door.settings();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        .max_headers(settings.max_headers)
        .max_buf_size(settings.max_head_size);
    let entry = Entry::default();
    let service = service_fn(|request| {
        let (door, entry) = (Arc::clone(&door), entry.clone());
        async move { Ok::<_, Infallible>(door.answer(request, ends, full, entry).await) }
    });
    // In a block of its own: what was needed to speak HTTP is gone before there is a session.
    let result = {
        let connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            result = connection.as_mut() => result,
            () = stop.cancelled() => {
                // A request that is being answered is answered; an idle connection is closed.
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(settings.drain_timeout, connection).await {
                    Ok(result) => result,
                    Err(_) => return,
                }
            }
        }
    };
    if let Some((mut accepted, upgrade)) = entry.take() {
        accepted.take_over(&mut admission);
        door.enter(accepted, upgrade).await;
    }
    if let Err(error) = result {
        if error.is_timeout() {
            door.tally().slow_heads.add(1);
        } else if error.is_parse() {
            // Answered by hyper.
            door.tally().http_errors.add(1);
        }
        tracing::debug!(peer = ?ends.remote, %error, "HTTP connection ended");
    }
}
