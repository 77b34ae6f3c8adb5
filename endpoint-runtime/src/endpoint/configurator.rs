//! [`Configurator`]: the hooks with which an application takes part in the opening handshake.

use std::any::Any;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderMap;

use crate::context::ApplicationContext;
use crate::error::{Refusal, Result};
use crate::message::Text;
use crate::session::{Extension, Handshake};

/// Takes part in the opening handshakes of an endpoint (Jakarta's `ServerEndpointConfig.Configurator`, CF-01 to CF-07): written as
/// `#[server_endpoint("/chat", configurator = Doorkeeper)]`, or given to
/// [`ServerEndpointConfigBuilder::configurator`](crate::ServerEndpointConfigBuilder::configurator).
///
/// The hooks stand in the order in which they are called, and each does what is usual unless it is written. There is one configurator for
/// each endpoint of a server, shared by all its connections, so what changes in it stands in an atomic or behind a lock; handlers reach it by
/// [`EndpointConfig::configurator`](crate::EndpointConfig::configurator).
///
/// A hook that panics costs its own handshake only, which is answered 500; all of them together have `handshake_timeout`
/// (of the [`Settings`](crate::Settings)), after which the handshake is answered 503.
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::{Configurator, Refusal};
///
/// struct User(String);
///
/// #[derive(Default)]
/// struct Doorkeeper;
///
/// impl Configurator for Doorkeeper {
///     async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
///         let Some(token) = handshake.cookie("token") else {
///             return Err(Refusal::unauthorized("sign in first"));
///         };
///         let user = User(look_up(token).await);
///         Principal::new(user).establish(handshake.extensions_mut());
///         Ok(())
///     }
/// }
///
/// async fn look_up(token: &str) -> String {
///     format!("owner of {token}")
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a configurator",
    label = "does not implement `Configurator`",
    note = "write `impl Configurator for {Self} {{}}`, with the hooks that are to do something"
)]
pub trait Configurator: Send + Sync + 'static {
    /// Whether a page of this origin may connect (RFC 6455 10.2, CF-01). `allowed` is what the endpoint's own rule says, its `origins`;
    /// what is returned counts. `false` is answered 403.
    fn check_origin(&self, handshake: &Handshake, allowed: bool) -> bool {
        let _ = handshake;
        allowed
    }

    /// Whether this peer may connect at all. It may be asked of a database, and what is found out may be left for the handlers: a
    /// [`Principal`](crate::Principal), which is [established](crate::Principal::establish) in the
    /// [`extensions`](Handshake::extensions_mut), anything in the [`attributes`](Handshake::attributes). Tokens that
    /// [`BearerTokens`](crate::BearerTokens) of the application have verified are taken out of the handshake by now.
    ///
    /// # Errors
    /// The answer instead of a socket, with any status, headers and body.
    fn check(
        &self,
        handshake: &mut Handshake,
        application: &ApplicationContext,
    ) -> impl Future<Output = Result<(), Refusal>> + Send {
        let _ = (handshake, application);
        ready(Ok(()))
    }

    /// The subprotocol to speak (CF-02): one of those that the peer requested, in its order of preference. `supported` are the endpoint's. What
    /// the peer did not request cannot be agreed on.
    ///
    /// Usually the first of the peer's that the endpoint supports; none is no error, unless the endpoint has `require_subprotocol`.
    fn subprotocol(&self, supported: &[Text], requested: &[&str]) -> Option<Text> {
        first_supported(supported, requested)
    }

    /// The extensions to use (CF-03), with the parameters that are answered. `installed` are those that the runtime has, and those that the
    /// endpoint's configuration names; what is not installed, or not requested, cannot be agreed on.
    ///
    /// Usually all that are requested and installed, in requested order and with the requested parameters.
    ///
    /// `permessage-deflate` is installed unless the endpoint's `compression` is off. It is the runtime's own: whether it is agreed on is
    /// decided here, with which parameters is not, so it is returned as it was requested, or by its name alone.
    fn extensions(&self, installed: &[Extension], requested: &[Extension]) -> Vec<Extension> {
        all_installed(installed, requested)
    }

    /// The last look at the response before it is sent (CF-04, HS-09): headers may be added and replaced, cookies set. Those that make it a
    /// handshake, `Connection`, `Upgrade` and `Sec-WebSocket-*`, and those that frame it, stay as they are.
    fn modify_handshake(&self, handshake: &Handshake, response: &mut HeaderMap) {
        let _ = (handshake, response);
    }

    /// Has a look at a new instance of the endpoint before any of its methods is called, and may fill it, or replace it by another of
    /// its type (CF-05). For an endpoint with `scope = singleton` it is called once, when the endpoint is deployed, and there is no handshake.
    ///
    /// # Errors
    /// The instance cannot be used: the session closes with 1011, and a singleton is not deployed.
    fn configure(&self, handshake: Option<&Handshake>, instance: &mut dyn Any) -> Result<()> {
        let _ = (handshake, instance);
        Ok(())
    }
}

/// A [`Configurator`] without its type: its future is boxed, which nobody pays for who has none.
pub trait AnyConfigurator: Send + Sync {
    /// See [`Configurator::check_origin`].
    fn check_origin(&self, handshake: &Handshake, allowed: bool) -> bool;

    /// See [`Configurator::check`].
    fn check<'a>(
        &'a self,
        handshake: &'a mut Handshake,
        application: &'a ApplicationContext,
    ) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>>;

    /// See [`Configurator::subprotocol`].
    fn subprotocol(&self, supported: &[Text], requested: &[&str]) -> Option<Text>;

    /// See [`Configurator::extensions`].
    fn extensions(&self, installed: &[Extension], requested: &[Extension]) -> Vec<Extension>;

    /// See [`Configurator::modify_handshake`].
    fn modify_handshake(&self, handshake: &Handshake, response: &mut HeaderMap);

    /// See [`Configurator::configure`].
    fn configure(&self, handshake: Option<&Handshake>, instance: &mut dyn Any) -> Result<()>;

    /// The configurator as what it is, for who knows its type.
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<C: Configurator> AnyConfigurator for C {
    fn check_origin(&self, handshake: &Handshake, allowed: bool) -> bool {
        Configurator::check_origin(self, handshake, allowed)
    }

    fn check<'a>(
        &'a self,
        handshake: &'a mut Handshake,
        application: &'a ApplicationContext,
    ) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>> {
        Box::pin(Configurator::check(self, handshake, application))
    }

    fn subprotocol(&self, supported: &[Text], requested: &[&str]) -> Option<Text> {
        Configurator::subprotocol(self, supported, requested)
    }

    fn extensions(&self, installed: &[Extension], requested: &[Extension]) -> Vec<Extension> {
        Configurator::extensions(self, installed, requested)
    }

    fn modify_handshake(&self, handshake: &Handshake, response: &mut HeaderMap) {
        Configurator::modify_handshake(self, handshake, response);
    }

    fn configure(&self, handshake: Option<&Handshake>, instance: &mut dyn Any) -> Result<()> {
        Configurator::configure(self, handshake, instance)
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// The first of the client's subprotocols that the endpoint speaks (Jakarta A10: the javadoc's order).
pub(crate) fn first_supported(supported: &[Text], requested: &[&str]) -> Option<Text> {
    requested.iter().find_map(|requested| supported.iter().find(|name| **name == **requested).cloned())
}

/// What is requested and installed, in requested order; of one that is offered several times, the offer that is preferred.
pub(crate) fn all_installed(installed: &[Extension], requested: &[Extension]) -> Vec<Extension> {
    let mut agreed: Vec<Extension> = Vec::new();
    for extension in requested {
        let in_list = |list: &[Extension]| list.iter().any(|other| other.name() == extension.name());
        if in_list(installed) && !in_list(&agreed) {
            agreed.push(extension.clone());
        }
    }
    agreed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(header: &str) -> Vec<Extension> {
        Extension::parse_list(header).unwrap()
    }

    #[test]
    fn extensions_are_agreed_on_in_the_clients_order() {
        let table = [
            ("", "a, b", ""),
            ("a, b", "", ""),
            ("a, b", "b; x=1, c, a", "b; x=1, a"),
            ("a", "a; x=1, a; x=2, a", "a; x=1"),
        ];
        for (installed, requested, agreed) in table {
            assert_eq!(
                all_installed(&list(installed), &list(requested)),
                list(agreed),
                "{installed} {requested}"
            );
        }
    }
}
