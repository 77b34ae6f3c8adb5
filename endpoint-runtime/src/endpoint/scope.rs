//! How many instances of an endpoint there are: one for each connection, or one for all.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Declared;

/// How instances of `E` are held by the connections they serve.
pub trait Scope<E> {
    /// What a connection holds.
    type Held: Deref<Target = E> + Send + 'static;

    /// Whether all connections share one instance.
    const SHARED: bool;

    /// What a connection holds of a fresh instance.
    fn hold(instance: E) -> Self::Held;

    /// The instance again, for another connection; `None` if each connection has its own.
    fn share(held: &Self::Held) -> Option<Self::Held>;
}

/// What a connection holds of the endpoint `E`: an instance of its own, or its share of the one there is.
///
/// A type of its own, not an alias: where `E` is no endpoint the compiler then says so once, at the user's `impl`.
pub struct Held<E: Declared>(<E::Scope as Scope<E>>::Held);

impl<E: Declared> Held<E> {
    /// Holds a fresh instance.
    pub(crate) fn new(instance: E) -> Self {
        Held(E::Scope::hold(instance))
    }

    /// The instance again, for another connection; `None` if each connection has its own.
    pub(crate) fn share(&self) -> Option<Self> {
        E::Scope::share(&self.0).map(Held)
    }
}

impl<E: Declared> Deref for Held<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.0
    }
}

/// `scope = connection`, the default: each connection has its own instance, dropped when it has closed.
#[derive(Debug)]
pub enum PerConnection {}

/// `scope = singleton`: all connections share one instance, so its methods take `&self` and it must be `Sync`.
#[derive(Debug)]
pub enum Singleton {}

impl<E: Send + 'static> Scope<E> for PerConnection {
    type Held = Exclusive<E>;

    const SHARED: bool = false;

    fn hold(instance: E) -> Exclusive<E> {
        Exclusive(instance)
    }

    fn share(_: &Exclusive<E>) -> Option<Exclusive<E>> {
        None
    }
}

impl<E: Send + Sync + 'static> Scope<E> for Singleton {
    type Held = Arc<E>;

    const SHARED: bool = true;

    fn hold(instance: E) -> Arc<E> {
        Arc::new(instance)
    }

    fn share(held: &Arc<E>) -> Option<Arc<E>> {
        Some(Arc::clone(held))
    }
}

/// An instance that belongs to one connection.
#[derive(Debug)]
pub struct Exclusive<E>(E);

impl<E> Deref for Exclusive<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.0
    }
}

impl<E> DerefMut for Exclusive<E> {
    fn deref_mut(&mut self) -> &mut E {
        &mut self.0
    }
}

/// What can be lent mutably: an instance of its own, not a shared one.
#[diagnostic::on_unimplemented(
    message = "a singleton endpoint's handlers take `&self`",
    label = "every connection shares this instance, so none may have it mutably",
    note = "take `&self` and keep what changes in a `Mutex`, an atomic, or the session's attributes; or drop `scope = singleton` to have an instance for each connection"
)]
pub trait HeldExclusively<E> {
    /// The instance, for a method that takes `&mut self`.
    fn exclusive(&mut self) -> &mut E;
}

#[diagnostic::do_not_recommend]
impl<E: Declared> HeldExclusively<E> for Held<E>
where
    <E::Scope as Scope<E>>::Held: DerefMut,
{
    fn exclusive(&mut self) -> &mut E {
        &mut self.0
    }
}
