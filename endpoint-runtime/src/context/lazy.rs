//! [`Lazy`]: a component that is built when it is used.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{ApplicationContext, Key};
use crate::error::Result;

/// A component that need not be built yet: a [lazy](crate::ComponentConfig::lazy) one is built at the first [`get`](Self::get). Two
/// components that need each other can do so if one of them is content with this.
///
/// An `#[inject]` field, a parameter of a handler, or [`ApplicationContext::lazy`]. That the component can be built, as far as that
/// shows beforehand, is checked before the server starts, as for any other.
pub struct Lazy<T: ?Sized> {
    context: ApplicationContext,
    name: Option<&'static str>,
    component: PhantomData<fn() -> Arc<T>>,
}

impl<T: ?Sized + Send + Sync + 'static> Lazy<T> {
    pub(super) fn new(context: ApplicationContext, name: Option<&'static str>) -> Self {
        Lazy { context, name, component: PhantomData }
    }

    /// The component. Whoever comes first has it built, with all that it needs; others wait for it meanwhile. What is built already is
    /// had without waiting and without a lock.
    ///
    /// # Errors
    /// There is no such component, or several; it could not be built, which the next call tries again; it is being built just now and needs
    /// the one that asks; or the application has ended.
    pub async fn get(&self) -> Result<Arc<T>> {
        self.context.obtain(Key::of::<T>(), self.name).await
    }

    /// The component, if it is built.
    pub fn if_built(&self) -> Option<Arc<T>> {
        match self.name {
            Some(name) => self.context.find_named(name),
            None => self.context.find(),
        }
    }
}

impl<T: ?Sized> Clone for Lazy<T> {
    fn clone(&self) -> Self {
        Lazy { context: self.context.clone(), name: self.name, component: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Lazy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lazy<{}>", std::any::type_name::<T>())
    }
}
