//! [`Principal`]: who a peer is, as the application knows it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

use http::Extensions;

use super::Identity;

/// Who the peer is: a value of the application's own, and beside it the [`Identity`] that the runtime looks at.
///
/// It is established before the upgrade: by a tower layer or a [`Configurator`](crate::Configurator), with [`establish`](Self::establish), or by
/// [`BearerTokens`](crate::BearerTokens). As a parameter of a handler it is the one that holds at that moment, after a
/// [`refresh`](crate::Session::refresh) the new one; where there is none the handshake is refused with 401. Take `Option<Principal<T>>` to
/// admit strangers too.
///
/// ```
/// use endpoint_runtime::prelude::*;
///
/// struct User { name: String, admin: bool }
///
/// fn principal(user: User) -> Principal<User> {
///     let name = user.name.clone();
///     let role = if user.admin { "admin" } else { "guest" };
///     Principal::new(user).named(name).role(role)
/// }
///
/// #[derive(Default)]
/// struct Doorkeeper;
///
/// impl Configurator for Doorkeeper {
///     async fn check(&self, handshake: &mut Handshake, _: &ApplicationContext) -> Result<(), Refusal> {
///         let name = handshake.header("x-name").ok_or_else(|| Refusal::unauthorized("sign in first"))?;
///         let user = User { name: name.to_owned(), admin: name == "bo" };
///         principal(user).establish(handshake.extensions_mut());
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Principal<T> {
    who: Arc<T>,
    identity: Identity,
}

impl<T> Principal<T> {
    /// Whoever `who` describes, without a name and in no role.
    pub fn new(who: T) -> Self {
        Principal { who: Arc::new(who), identity: Identity::default() }
    }

    /// The same with this name: the session will be that user's ([`Sessions::user`](crate::Sessions::user)).
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.identity = self.identity.named(name);
        self
    }

    /// The same, in this role too.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.identity = self.identity.role(role);
        self
    }

    /// The same until then; the session is closed with 1008 if it has not been refreshed by that time.
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.identity = self.identity.expires_at(time);
        self
    }

    /// The same with this identity in the place of what was said of it before.
    #[must_use]
    pub fn identified(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// What the runtime knows of it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl<T: Send + Sync + 'static> Principal<T> {
    /// Says that this is who the peer is: in the extensions of a request, on its way through a tower layer, or of a [`Handshake`](crate::Handshake) in a
    /// configurator. Both `Principal<T>` parameters and roles go by it from there, and what was established before counts no more.
    ///
    /// A principal that is inserted as any other extension is found by `Principal<T>` parameters too, but has no name and is in no role.
    pub fn establish(self, extensions: &mut Extensions) {
        extensions.insert(self.identity.clone());
        extensions.insert(self);
    }
}

impl<T> Clone for Principal<T> {
    fn clone(&self) -> Self {
        Principal { who: Arc::clone(&self.who), identity: self.identity.clone() }
    }
}

impl<T> Deref for Principal<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.who
    }
}
