//! A connection that has just been accepted, on its way to HTTP: what it goes through depends on the listener it came to.

use std::sync::Arc;
#[cfg(feature = "tls")]
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "tls")]
use super::door::Admission;
use super::door::Door;
use super::http1;
use super::listen::Rules;
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::session::Ends;

/// Connections over the limit that are told so. Beyond, they are just closed: to tell them costs too.
const TOLD: usize = 256;

/// How long who is in the TLS handshake when the server stops may take to finish it.
#[cfg(feature = "tls")]
const AT_THE_END: Duration = Duration::from_secs(2);

/// Serves a connection until it is upgraded or closed. It counts as one that is there from now on, whatever it still has to go through.
pub(super) async fn arrive<I>(door: Arc<Door>, io: I, ends: Ends, rules: Arc<Rules>, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let admission = door.admit();
    if admission.over() > TOLD {
        return;
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = &rules.tls {
        // In a box: the state of a handshake is large, and most of it is done with before there is a request.
        return Box::pin(arrive_encrypted(tls, door, io, ends, admission, stop)).await;
    }
    #[cfg(not(feature = "tls"))]
    let Rules {} = *rules;
    http1::serve(door, io, ends, admission, stop).await;
}

/// The same through TLS.
#[cfg(feature = "tls")]
async fn arrive_encrypted<I>(
    tls: &Tls,
    door: Arc<Door>,
    io: I,
    mut ends: Ends,
    admission: Admission,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // A server that stops waits for those who have come to its door already, but not for long.
    let under_way = door.tasks().token();
    let settings = door.settings();
    let stopped = async {
        stop.cancelled().await;
        tokio::time::sleep(settings.drain_timeout.min(AT_THE_END)).await;
    };
    let accepted = tokio::select! {
        accepted = tls.accept(io, settings.tls_handshake_timeout) => accepted,
        () = stopped => return,
    };
    match accepted {
        Ok(stream) => {
            ends.secure = true;
            ends.shown = super::tls::shown(&stream);
            drop(under_way);
            http1::serve(door, stream, ends, admission, stop).await;
        }
        Err(error) => tracing::debug!(peer = ?ends.remote, %error, "TLS handshake failed"),
    }
}
