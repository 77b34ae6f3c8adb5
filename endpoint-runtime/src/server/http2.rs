//! HTTP/2 on one connection, by hyper: requests, and WebSockets beside them, each a stream of its own (RFC 9113, RFC 8441).

mod streams;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use self::streams::Streams;
use super::arrival::Arrival;
use super::body::{self, ResponseBody};
use super::door::{Admission, Entry};
use crate::error::Refusal;
use crate::settings::Settings;

/// What a peer may send on one stream before a handler has looked at it: as much as one read brings on a socket, and enough that a
/// distant peer need not wait for us within a message of the usual size.
///
/// The window of the connection has room for this on all its streams. So however many handlers are busy, those that are not hear their
/// peers; and however many peers flood us, they fill no more than they would by connections of their own.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The least that the window of a connection is. h2 closes a connection of which too many tiny frames lie there unread: with half of this
/// for their sake, those of one stream are never too many.
const LEAST_WINDOW: u32 = 16 * 1024 * 1024;

/// What waits on one stream, below the outbox of its session, for a peer that is slow to take it.
const SEND_BUFFER: usize = 64 * 1024;

/// How long a peer that is told that we go has to say that it knows.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves one connection. It returns when the connection is closed.
///
/// A connection without streams is closed after `head_timeout`, one on which a peer keeps resetting them at once, and one that is one too
/// many when its first request is answered.
pub(super) async fn serve<I>(mut arrival: Arrival, admission: Admission, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Its place is the connection's, for as long as it lives: sessions take places of their own.
    arrival.ends.counted = false;
    let _admission = admission;
    let settings = arrival.door.settings();
    // Of those behind a proxy, one must not cost the others their connection.
    let is_shared = arrival.door.is_of_proxy(&arrival.ends);
    let streams = Streams::new(if is_shared { usize::MAX } else { settings.http2_max_resets });
    let service = service_fn(|request| {
        let (arrival, counted) = (arrival.clone(), streams.request());
        async move {
            let response = answer(arrival, request).await;
            counted.answered();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = builder(settings, &streams).serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    let mut patience = settings.head_timeout;
    let mut leaving = false;
    let mut cut_off = None;
    let result = loop {
        tokio::select! {
            result = connection.as_mut() => break result,
            () = streams.none_for(patience) => {
                if leaving {
                    break Ok(());
                }
            }
            () = streams.worn_out() => {
                if let Some(unsaid) = arrival.door.tally().http2_worn_out.note() {
                    tracing::warn!(
                        peer = ?arrival.ends.remote,
                        unsaid,
                        "connections are closed: an HTTP/2 peer resets too many streams (`http2_max_resets`)"
                    );
                }
                break Ok(());
            }
            // One too many is told so, once.
            () = streams.asked(), if arrival.full.is_some() && !leaving => {}
            () = arrival.stop.cancelled(), if cut_off.is_none() => {
                cut_off = Some(Instant::now() + settings.drain_timeout);
                if arrival.rules.handed_over {
                    // The client has done nothing wrong by coming here: it may ask.
                    tokio::select! {
                        result = connection.as_mut() => break result,
                        _ = timeout(settings.drain_grace, streams.asked()) => {}
                    }
                }
            }
            () = sleep_until(cut_off.unwrap_or_else(Instant::now)), if cut_off.is_some() => break Ok(()),
        }
        // GOAWAY: streams that there are go on to their end, which is for their sessions to say, and no more are opened.
        if !leaving {
            connection.as_mut().graceful_shutdown();
            (leaving, patience) = (true, FAREWELL);
        }
    };
    if let Err(error) = result {
        tracing::debug!(peer = ?arrival.ends.remote, %error, "HTTP/2 connection ended");
    }
}

fn builder(settings: &Settings, streams: &Streams) -> http2::Builder<Streams> {
    // Bounded where settings are checked.
    let streams_at_most = u32::try_from(settings.http2_max_streams).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(streams_at_most)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW.saturating_mul(streams_at_most).max(LEAST_WINDOW))
        .max_header_list_size(u32::try_from(settings.max_head_size).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(settings.http2_max_resets)
        .max_local_error_reset_streams(settings.http2_max_resets);
    builder
}

/// Answers one request. What is accepted becomes a session in a task of its own: the connection goes on beside it.
async fn answer(mut arrival: Arrival, request: Request<Incoming>) -> Response<ResponseBody> {
    let door = Arc::clone(&arrival.door);
    if request.headers().len() > door.settings().max_headers {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return body::refused(Refusal::new(status, "the request has too many header fields"));
    }
    // A session counts as one more connection, from its handshake on.
    let admission = (request.method() == Method::CONNECT).then(|| door.admit());
    arrival.full = arrival.full.or_else(|| admission.as_ref()?.full());
    let entry = Entry::default();
    let response = Arc::clone(&door).answer(request, &arrival, &entry).await;
    if let Some((accepted, upgrade)) = entry.take() {
        door.tasks().clone().spawn(async move {
            door.enter(accepted, upgrade).await;
            drop(admission);
        });
    }
    response
}
