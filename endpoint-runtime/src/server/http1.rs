//! HTTP/1.1 on one connection, by hyper, until it is upgraded or closed.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::arrival::Arrival;
use super::door::{Admission, Asks, Entry};

/// Serves one connection. It returns when the connection has been upgraded or closed.
///
/// A peer that says nothing, or says it too slowly, is closed after `head_timeout`; so is one that stays silent between two requests.
pub(super) async fn serve<I>(arrival: Arrival, mut admission: Admission, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Arrival { door, rules, stop, head_by, .. } = &arrival;
    let settings = door.settings();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        .max_headers(settings.max_headers)
        .max_buf_size(settings.max_head_size);
    let entry = Entry::default();
    let service = service_fn(|request| {
        let answer = Arc::clone(door).answer(request, &arrival, &entry);
        async { Ok::<_, Infallible>(answer.await) }
    });
    // hyper's time for the first head begins here, and some of it may be over. What has been asked has time of its own.
    let overdue = async {
        match *head_by {
            Some(by) => sleep_until(by).await,
            None => pending().await,
        }
        if entry.asks() != Asks::NothingYet {
            pending::<()>().await;
        }
    };
    // In a block of its own: what was needed to speak HTTP is gone before there is a session.
    let result = {
        let connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            result = connection.as_mut() => result,
            () = overdue => {
                door.tally().slow_heads.add(1);
                tracing::debug!(peer = ?arrival.ends.remote, "the head of the request has not come within `head_timeout`");
                return;
            }
            () = stop.cancelled() => {
                let last = Instant::now() + settings.drain_timeout;
                let mut ended = None;
                if rules.handed_over {
                    // The client has done nothing wrong by coming here: it may ask, and what it has asked is answered.
                    let mut grace = std::pin::pin!(sleep(settings.drain_grace));
                    let answered = poll_fn(|cx| match connection.as_mut().poll(cx) {
                        Poll::Ready(result) => Poll::Ready(Some(result)),
                        Poll::Pending => match entry.asks() {
                            Asks::NothingYet => grace.as_mut().poll(cx).map(|()| None),
                            Asks::Now => Poll::Pending,
                            Asks::NothingMore => Poll::Ready(None),
                        },
                    });
                    ended = timeout_at(last, answered).await.unwrap_or(None);
                }
                if ended.is_none() {
                    // A request that is being answered is answered; an idle connection is closed.
                    connection.as_mut().graceful_shutdown();
                    ended = timeout_at(last, connection).await.ok();
                }
                match ended {
                    Some(result) => result,
                    None => return,
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
        tracing::debug!(peer = ?arrival.ends.remote, %error, "HTTP connection ended");
    }
}
