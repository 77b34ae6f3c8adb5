//! [`Configurator`]: what an endpoint has to say about its opening handshakes.

use std::future::{Future, ready};

use crate::context::ApplicationContext;
use crate::endpoint::Refusal;
use crate::session::Handshake;

/// What an endpoint has to say about its opening handshakes.
pub trait Configurator: Send + Sync + 'static {
    /// Whether the handshake is welcome.
    fn check(
        &self,
        handshake: &mut Handshake,
        application: &ApplicationContext,
    ) -> impl Future<Output = Result<(), Refusal>> + Send {
        let _ = (handshake, application);
        ready(Ok(()))
    }
}

/// A [`Configurator`] of any type.
pub trait AnyConfigurator: Send + Sync + 'static {}
impl<C: Configurator> AnyConfigurator for C {}
