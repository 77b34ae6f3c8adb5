//! [`Context`]: what a handler's arguments are made from.

use crate::context::ApplicationContext;
use crate::session::{EndpointConfig, Handshake, Session, Sessions};

/// The surroundings of one event: its session, and through it the handshake, the registry and the application.
///
/// This is what a [`FromContext`](crate::FromContext) type is made from.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    session: &'a Session,
}

impl<'a> Context<'a> {
    pub(crate) fn new(session: &'a Session) -> Self {
        Context { session }
    }

    /// The connection that the event belongs to.
    pub fn session(&self) -> &'a Session {
        self.session
    }

    /// The opening handshake of the connection.
    pub fn handshake(&self) -> &'a Handshake {
        self.session.handshake()
    }

    /// Every session of this server.
    pub fn sessions(&self) -> &'a Sessions {
        self.session.sessions()
    }

    /// What is configured for the endpoint.
    pub fn config(&self) -> &'a EndpointConfig {
        self.session.config()
    }

    /// The components of the application.
    pub fn application(&self) -> &'a ApplicationContext {
        self.session.application()
    }
}
