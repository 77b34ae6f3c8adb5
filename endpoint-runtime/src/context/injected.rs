//! What a field or parameter may be so that the application context can give it: [`Injected`].

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::{ApplicationContext, How, Lazy, Needs};
use crate::error::Result;

/// What an `#[inject]` field may be: `Arc<T>` and `Option<Arc<T>>`, where `T` may be a trait, `Vec<Arc<T>>` and `Vec<Named<T>>` for all of
/// them, [`Lazy<T>`], [`ApplicationContext`], [`Sessions`](crate::Sessions), or [`Container`](crate::Container).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected",
    label = "not an injectable type",
    note = "an `#[inject]` field is an `Arc<T>`, an `Option<Arc<T>>`, a `Vec<Arc<T>>`, a `Lazy<T>`, `Sessions`, `Container` or `ApplicationContext`"
)]
pub trait Injected: Sized {
    /// What must have been provided.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }

    /// The value.
    ///
    /// # Errors
    /// The component is missing.
    fn inject(context: &ApplicationContext) -> Result<Self>;
}

/// What an `#[inject("name")]` field may be: `Arc<T>`, `Option<Arc<T>>` or [`Lazy<T>`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected by name",
    label = "has no name to be found by",
    note = "an `#[inject(\"name\")]` field is an `Arc<T>`, an `Option<Arc<T>>` or a `Lazy<T>`"
)]
pub trait InjectedByName: Sized {
    /// What must have been provided.
    fn needs_named(needs: &mut Needs, name: &'static str);

    /// The value.
    ///
    /// # Errors
    /// The component is missing.
    fn inject_named(context: &ApplicationContext, name: &'static str) -> Result<Self>;
}

impl<T: ?Sized + Send + Sync + 'static> Injected for Arc<T> {
    fn needs(needs: &mut Needs) {
        needs.component::<T>();
    }

    fn inject(context: &ApplicationContext) -> Result<Self> {
        context.get()
    }
}

impl<T: ?Sized + Send + Sync + 'static> InjectedByName for Arc<T> {
    fn needs_named(needs: &mut Needs, name: &'static str) {
        needs.named::<T>(name);
    }

    fn inject_named(context: &ApplicationContext, name: &'static str) -> Result<Self> {
        context.named(name)
    }
}

impl<T: ?Sized + Send + Sync + 'static> Injected for Option<Arc<T>> {
    fn needs(needs: &mut Needs) {
        needs.one::<T>(None, How::Optional);
    }

    fn inject(context: &ApplicationContext) -> Result<Self> {
        Ok(context.find())
    }
}

impl<T: ?Sized + Send + Sync + 'static> InjectedByName for Option<Arc<T>> {
    fn needs_named(needs: &mut Needs, name: &'static str) {
        needs.one::<T>(Some(name), How::Optional);
    }

    fn inject_named(context: &ApplicationContext, name: &'static str) -> Result<Self> {
        Ok(context.find_named(name))
    }
}

impl<T: ?Sized + Send + Sync + 'static> Injected for Vec<Arc<T>> {
    fn needs(needs: &mut Needs) {
        needs.all::<T>();
    }

    fn inject(context: &ApplicationContext) -> Result<Self> {
        Ok(context.all())
    }
}

impl<T: ?Sized + Send + Sync + 'static> Injected for Vec<Named<T>> {
    fn needs(needs: &mut Needs) {
        needs.all::<T>();
    }

    fn inject(context: &ApplicationContext) -> Result<Self> {
        Ok(context.all_named())
    }
}

impl<T: ?Sized + Send + Sync + 'static> Injected for Lazy<T> {
    fn needs(needs: &mut Needs) {
        needs.one::<T>(None, How::Lazily);
    }

    fn inject(context: &ApplicationContext) -> Result<Self> {
        Ok(context.lazy())
    }
}

impl<T: ?Sized + Send + Sync + 'static> InjectedByName for Lazy<T> {
    fn needs_named(needs: &mut Needs, name: &'static str) {
        needs.one::<T>(Some(name), How::Lazily);
    }

    fn inject_named(context: &ApplicationContext, name: &'static str) -> Result<Self> {
        Ok(context.lazy_named(name))
    }
}

impl Injected for ApplicationContext {
    fn inject(context: &ApplicationContext) -> Result<Self> {
        Ok(context.clone())
    }
}

/// A component as a parameter of a handler. That it was provided is checked before the server starts.
#[derive(Debug)]
pub struct Inject<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> Deref for Inject<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> Clone for Inject<T> {
    fn clone(&self) -> Self {
        Inject(Arc::clone(&self.0))
    }
}

/// One of several components of a type or trait, with the name that tells it from the others: `#[inject] audits: Vec<Named<dyn Audit>>`.
pub struct Named<T: ?Sized> {
    name: Option<String>,
    component: Arc<T>,
}

impl<T: ?Sized> Named<T> {
    pub(super) fn new(name: Option<&str>, component: Arc<T>) -> Self {
        Named { name: name.map(str::to_owned), component }
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The component.
    pub fn component(&self) -> &Arc<T> {
        &self.component
    }
}

impl<T: ?Sized> Deref for Named<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.component
    }
}

impl<T: ?Sized> Clone for Named<T> {
    fn clone(&self) -> Self {
        Named { name: self.name.clone(), component: Arc::clone(&self.component) }
    }
}

impl<T: ?Sized> fmt::Debug for Named<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.name).finish()
    }
}
