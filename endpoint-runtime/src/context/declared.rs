//! What `#[component]` and `#[provider]` implement: how a component is made of what it needs, and which roles its type has.

use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use super::{ApplicationContext, ComponentConfig, ContextAware, Lifecycle, Needs, Observer};
use crate::error::{Error, Result};

/// Implemented by `#[component]` for a type, and by `#[provider]` for a type that stands for the function: there is one for each.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a component",
    label = "has no `#[component]`",
    note = "put `#[component]` on the struct, or on the `impl` block of its `#[constructor]`; what is made otherwise is provided by `.provide(..)`"
)]
pub trait ComponentDeclared: 'static {
    /// What is made, which may be a trait.
    type Component: ?Sized + Send + Sync + 'static;

    /// What it asks for.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }

    /// Makes it.
    ///
    /// # Errors
    /// Those of the user's function, or what it asks for is missing, which the exporter has ruled out.
    fn make(context: &ApplicationContext) -> impl Future<Output = Result<Arc<Self::Component>>> + Send;

    /// All that is said of it.
    fn config() -> ComponentConfig;
}

/// What a function may return to make a component `T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the component `{T}`",
    label = "neither the component nor a `Result` of it",
    note = "the function returns `{T}`, an `Arc` of it, or a `Result` of one of these, whose error is one that `?` takes"
)]
pub trait Made<T: ?Sized> {
    /// The component.
    ///
    /// # Errors
    /// That of the function.
    fn made(self) -> Result<Arc<T>>;
}

#[diagnostic::do_not_recommend]
impl<T> Made<T> for T {
    fn made(self) -> Result<Arc<T>> {
        Ok(Arc::new(self))
    }
}

#[diagnostic::do_not_recommend]
impl<T: ?Sized> Made<T> for Arc<T> {
    fn made(self) -> Result<Arc<T>> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E: Into<Error>> Made<T> for Result<T, E> {
    fn made(self) -> Result<Arc<T>> {
        self.map(Arc::new).map_err(Into::into)
    }
}

#[diagnostic::do_not_recommend]
impl<T: ?Sized, E: Into<Error>> Made<T> for Result<Arc<T>, E> {
    fn made(self) -> Result<Arc<T>> {
        self.map_err(Into::into)
    }
}

/// Finds out which roles a type has, by the way in which the compiler looks for methods: those of `Roles<T>` come first, where `T` has the
/// role, and those of [`NoRoles`], to which it derefs, are for all other types. No trait has to be in scope.
#[derive(Debug)]
pub struct Roles<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T: ?Sized> Roles<T> {
    /// Those of `T`.
    pub fn of_type() -> Self {
        Roles(PhantomData)
    }
}

impl<T: Lifecycle> Roles<T> {
    /// The component, told when the application starts and ends.
    pub fn if_lifecycle(&self, config: ComponentConfig) -> ComponentConfig {
        config.lifecycle::<T>()
    }
}

impl<T: ContextAware> Roles<T> {
    /// The component, handed the context.
    pub fn if_aware(&self, config: ComponentConfig) -> ComponentConfig {
        config.aware::<T>()
    }
}

impl<T: Observer> Roles<T> {
    /// The component, told what happens.
    pub fn if_observer(&self, config: ComponentConfig) -> ComponentConfig {
        config.observer::<T>()
    }
}

impl<T: ?Sized> Deref for Roles<T> {
    type Target = NoRoles;

    fn deref(&self) -> &NoRoles {
        &NoRoles
    }
}

/// A type without any role.
#[derive(Debug)]
pub struct NoRoles;

impl NoRoles {
    /// The component as it is.
    pub fn if_lifecycle(&self, config: ComponentConfig) -> ComponentConfig {
        config
    }

    /// The component as it is.
    pub fn if_aware(&self, config: ComponentConfig) -> ComponentConfig {
        config
    }

    /// The component as it is.
    pub fn if_observer(&self, config: ComponentConfig) -> ComponentConfig {
        config
    }
}

/// What a provider returns, if that does not look like a `Result`: it may be one by another name.
#[derive(Debug)]
pub struct Returned<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T, E> Returned<Result<T, E>> {
    /// It is one.
    pub const IS_RESULT: bool = true;
}

/// Any other type: its constant is found where the type has none of its own.
pub trait NoResult {
    /// It is none.
    const IS_RESULT: bool = false;
}

impl<T: ?Sized> NoResult for Returned<T> {}

/// A component is no `Result`.
#[track_caller]
pub const fn is_whole(is_result: bool) {
    assert!(
        !is_result,
        "this is a `Result` by another name, and the component's type cannot be read from it: write `Result<Type>`, or `Result<Type, Error>`"
    );
}
