//! A connection that has just been accepted, on its way to HTTP: what it goes through depends on the listener it came to.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::door::Admission;
use super::http1;
use super::listen::Rules;
use super::proxies::protocol;
use crate::session::Ends;

/// Serves a connection until it is upgraded or closed.
pub(super) async fn arrive<I>(
    mut admission: Admission,
    mut io: I,
    mut ends: Ends,
    rules: Arc<Rules>,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if admission.is_hopeless() {
        return;
    }
    if rules.proxy_protocol {
        let told = tokio::select! {
            told = introduced(&admission, &mut io, ends) => told,
            () = stop.cancelled() => return,
        };
        match told {
            Some(told) => ends = told,
            None => return,
        }
    }
    if admission.take_place(&mut ends) {
        http1::serve(admission, io, ends, stop).await;
    }
}

/// Whom a proxy introduces by the PROXY protocol, if it does.
async fn introduced(admission: &Admission, io: &mut (impl AsyncRead + Unpin), ends: Ends) -> Option<Ends> {
    let door = admission.door();
    let peer = ends.remote;
    let refused = if !door.takes_the_word_of(ends) {
        "whoever connects here must be one of `trusted_proxies`".to_owned()
    } else {
        match timeout(door.settings().head_timeout, protocol::read(io, ends)).await {
            Ok(Ok(told)) => return Some(told),
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "no header of the PROXY protocol within `head_timeout`".to_owned(),
        }
    };
    door.tally().proxy_errors.add(1);
    tracing::debug!(?peer, reason = refused, "connection closed");
    None
}
