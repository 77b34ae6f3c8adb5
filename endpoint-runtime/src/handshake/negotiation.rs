//! What is agreed on in a handshake, and with whose consent: the endpoint's rules, its configurator, its parameters.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Response, StatusCode};
use tokio::time::timeout;

use super::bearer::{BEARER, BearerTokens, challenged};
use super::compression::{self, Agreement, is_as_it_is};
use super::{Opening, OriginRule, unavailable};
use crate::access::Identity;
use crate::endpoint::{AnyConfigurator, all_installed, first_supported};
use crate::error::{Panicked, Refusal};
use crate::message::Text;
use crate::session::{DEFLATE, Extension, Handshake, Home, Seeds};
use crate::wire::Deflate;

/// On which terms an endpoint accepts a handshake.
pub(crate) struct Terms {
    pub(crate) origins: OriginRule,
    /// Whoever speaks none of the endpoint's subprotocols is refused.
    pub(crate) require_subprotocol: bool,
    /// What each session's attributes begin with.
    pub(crate) attributes: Seeds,
    /// Who knows the tokens that peers bring.
    pub(crate) bearer: Option<Arc<BearerTokens>>,
    pub(crate) configurator: Option<Arc<dyn AnyConfigurator>>,
}

impl Terms {
    /// Negotiates one handshake at this endpoint: the response to be sent, or why there is none. `admit` is what the parameters of its
    /// methods ask for. Whatever the application's code does meanwhile, there is an answer.
    pub(crate) async fn negotiate(
        &self,
        home: &Home,
        opening: Opening,
        handshake: &mut Handshake,
        admit: impl FnOnce(&Handshake) -> Result<(), Refusal> + Send,
        limit: Duration,
    ) -> Result<Response<()>, Refusal> {
        let negotiated = guarded(home, async {
            let agreed = self.agree(home, handshake, admit).await;
            agreed.map_err(|refusal| self.challenged(refusal, handshake))?;
            Ok(self.response(opening, handshake))
        });
        if self.configurator.is_none() && self.bearer.is_none() {
            // Nothing in there waits.
            return negotiated.await;
        }
        match timeout(limit, negotiated).await {
            Ok(result) => result,
            Err(_) => {
                tracing::warn!(
                    path = home.path,
                    endpoint = home.type_name,
                    "who decides about handshakes did not within `handshake_timeout`, {limit:?}"
                );
                Err(unavailable("this takes too long, try again later"))
            }
        }
    }

    /// Origin, then the token, then the configurator, then the roles, then what the parameters ask for, then subprotocol and extensions.
    ///
    /// Who may not connect learns nothing of what comes after: a foreign page not whether its visitor's token is good, a stranger not what
    /// the parameters are.
    async fn agree(
        &self,
        home: &Home,
        handshake: &mut Handshake,
        admit: impl FnOnce(&Handshake) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        // RFC 6455 9.1: a header that breaks the grammar fails the handshake.
        let offered = handshake
            .offered_extensions()
            .map_err(|error| Refusal::bad_request(format!("Sec-WebSocket-Extensions: {error}")))?;
        self.attributes.sow(handshake.attributes());
        // Before any code of the application's looks at the handshake.
        let token = self.bearer.as_ref().and_then(|bearer| bearer.take(handshake));
        self.check_origin(handshake)?;
        if let Some(bearer) = &self.bearer {
            bearer.admit(token, handshake, &home.application).await?;
        }
        if let Some(configurator) = &self.configurator {
            configurator.check(handshake, &home.application).await?;
        }
        if handshake.identity().is_some_and(Identity::has_expired) {
            return Err(Refusal::unauthorized("your authorization has expired"));
        }
        home.roles.admit(handshake.identity())?;
        admit(handshake)?;
        let subprotocol = self.subprotocol(home, handshake);
        if self.require_subprotocol && subprotocol.is_none() {
            return Err(Refusal::bad_request(
                "none of the subprotocols that this endpoint speaks was offered",
            ));
        }
        let marker = handshake.answers_bearer.then(|| Text::from_static(BEARER));
        handshake.subprotocol = subprotocol.or(marker).map(Box::new);
        let (agreed, deflate) = self.extensions(home, &offered);
        handshake.agreed = agreed.into();
        handshake.deflate = deflate;
        Ok(())
    }

    /// Where tokens are accepted, who is refused for not saying who he is is told that.
    fn challenged(&self, refusal: Refusal, handshake: &Handshake) -> Refusal {
        let accepts = self.bearer.is_some() || handshake.extensions().get::<BearerTokens>().is_some();
        if accepts { challenged(refusal) } else { refusal }
    }

    fn check_origin(&self, handshake: &Handshake) -> Result<(), Refusal> {
        let allowed = self.origins.admits(handshake);
        let allowed = match &self.configurator {
            Some(configurator) => configurator.check_origin(handshake, allowed),
            None => allowed,
        };
        if allowed { Ok(()) } else { Err(Refusal::forbidden("this origin may not connect")) }
    }

    fn subprotocol(&self, home: &Home, handshake: &Handshake) -> Option<Text> {
        let requested: Vec<_> = handshake.offered_subprotocols().collect();
        let Some(configurator) = &self.configurator else {
            return first_supported(home.subprotocols(), &requested);
        };
        let chosen = configurator.subprotocol(home.subprotocols(), &requested)?;
        let offered = requested.contains(&chosen.as_str());
        if !offered {
            // The client would have to fail the connection (RFC 6455 4.1).
            tracing::warn!(path = home.path, subprotocol = %chosen, "the configurator chose a subprotocol that was not offered: none is agreed on");
        }
        offered.then_some(chosen)
    }

    /// What is agreed on, and what it says about compression.
    fn extensions(&self, home: &Home, offered: &[Extension]) -> (Vec<Extension>, Option<Deflate>) {
        let mut agreement = compression::answer(home.limits.compression, offered);
        let mut agreed = match &self.configurator {
            Some(configurator) => chosen(&**configurator, home, offered, agreement.as_ref()),
            None => all_installed(home.installed(), offered),
        };
        let mut deflate = None;
        agreed.retain_mut(|extension| {
            if extension.name() != DEFLATE {
                return true;
            }
            let Some(agreement) = agreement.take() else { return false };
            deflate = Some(agreement.deflate);
            *extension = agreement.extension;
            true
        });
        (agreed, deflate)
    }

    /// 101, as the configurator wants it.
    fn response(&self, opening: Opening, handshake: &Handshake) -> Response<()> {
        let mut response = opening.accept(handshake);
        if let Some(configurator) = &self.configurator {
            let ours = response.headers().clone();
            configurator.modify_handshake(handshake, response.headers_mut());
            protect(&ours, response.headers_mut());
        }
        response
    }
}

/// What the configurator chooses, as far as it can be agreed on.
fn chosen(
    configurator: &dyn AnyConfigurator,
    home: &Home,
    offered: &[Extension],
    compression: Option<&Agreement>,
) -> Vec<Extension> {
    let installed = home.installed();
    let mut agreed: Vec<Extension> = Vec::new();
    for extension in configurator.extensions(installed, offered) {
        let in_list = |list: &[Extension]| list.iter().any(|other| other.name() == extension.name());
        if in_list(installed)
            && in_list(offered)
            && !in_list(&agreed)
            && extension.is_well_formed()
            && (extension.name() != DEFLATE || is_as_it_is(&extension, offered, compression))
        {
            agreed.push(extension);
        } else {
            tracing::warn!(path = home.path, %extension, "the configurator chose an extension that cannot be agreed on: it is left out");
        }
    }
    agreed
}

/// Puts back the headers without which the response would be no handshake, or a broken one.
fn protect(ours: &HeaderMap, headers: &mut HeaderMap) {
    let names: Vec<HeaderName> = ours.keys().chain(headers.keys()).cloned().collect();
    for name in names {
        if !is_protected(&name) || ours.get_all(&name) == headers.get_all(&name) {
            continue;
        }
        tracing::warn!(%name, "the configurator changed a header that is the handshake's own: it stays as it was");
        headers.remove(&name);
        if let Some(value) = ours.get(&name) {
            headers.insert(name, value.clone());
        }
    }
}

/// Whether a header is the protocol's business: the handshake's, or how the response is framed.
fn is_protected(name: &HeaderName) -> bool {
    [CONNECTION, UPGRADE, CONTENT_LENGTH, TRANSFER_ENCODING, TE, TRAILER].contains(name)
        || name.as_str().starts_with("sec-websocket-")
        || ["keep-alive", "proxy-connection"].contains(&name.as_str())
}

/// Runs the application's part of a handshake: as code of this server, and so that a panic becomes an answer.
async fn guarded<T>(home: &Home, part: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let mut part = pin!(part);
    poll_fn(|cx| {
        let poll = || home.sessions.enter(|| part.as_mut().poll(cx));
        catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|payload| {
            home.counts.panics.fetch_add(1, Ordering::Relaxed);
            let panicked = Panicked::from_payload(&*payload);
            tracing::error!(path = home.path, endpoint = home.type_name, "in a handshake: {panicked}");
            Poll::Ready(Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error")))
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_handshakes_own_headers_stay() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter();
            pairs.map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).fold(
                HeaderMap::new(),
                |mut map, (name, value)| {
                    map.append(name, value);
                    map
                },
            )
        };
        let ours =
            headers(&[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "x")]);
        let mut changed = headers(&[
            ("connection", "close"),
            ("sec-websocket-accept", "x"),
            ("sec-websocket-accept", "y"),
            ("sec-websocket-protocol", "made-up"),
            ("content-length", "7"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ]);
        protect(&ours, &mut changed);
        let expected = headers(&[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-accept", "x"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ]);
        assert_eq!(changed, expected);
    }
}
