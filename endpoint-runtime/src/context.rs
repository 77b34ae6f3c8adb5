//! The application around the endpoints: components by type, frozen before the first connection.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::{Error, Result};

/// The components of the application, by type. Cheap to clone; nothing is added once the server has started, so that looking
/// one up takes no lock.
///
/// A component is provided by [`provide`](crate::ServerEndpointExporter::provide) and asked for by an `#[inject]` field, an
/// [`Inject<T>`] parameter, or [`get`](Self::get).
#[derive(Clone, Default)]
pub struct ApplicationContext {
    components: Arc<HashMap<TypeId, Component>>,
}

impl ApplicationContext {
    /// The component `T`, which may be a trait (`dyn Audit`).
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let component = self.components.get(&TypeId::of::<T>())?;
        component.shared.downcast_ref::<Arc<T>>().cloned()
    }

    pub(crate) fn contains(&self, component: TypeId) -> bool {
        self.components.contains_key(&component)
    }

    /// The names of all components, sorted.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.components.values().map(|component| component.name).collect();
        names.sort_unstable();
        names
    }
}

impl fmt::Debug for ApplicationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApplicationContext").field(&self.names()).finish()
    }
}

/// A shared component: an `Arc<T>` behind `Any`, so that `T` may be unsized.
#[derive(Clone)]
pub(crate) struct Component {
    name: &'static str,
    shared: Arc<dyn Any + Send + Sync>,
}

/// Components on their way into an [`ApplicationContext`].
#[derive(Clone, Default)]
pub(crate) struct Components {
    components: HashMap<TypeId, Component>,
    /// Types that were provided more than once.
    repeated: Vec<&'static str>,
}

impl Components {
    pub(crate) fn add<T: ?Sized + Send + Sync + 'static>(&mut self, shared: Arc<T>) {
        let component = Component { name: type_name::<T>(), shared: Arc::new(shared) };
        if self.components.insert(TypeId::of::<T>(), component).is_some() {
            self.repeated.push(type_name::<T>());
        }
    }

    pub(crate) fn repeated(&self) -> &[&'static str] {
        &self.repeated
    }

    /// What another context has.
    #[cfg(feature = "client")]
    pub(crate) fn of(context: &ApplicationContext) -> Self {
        Components { components: (*context.components).clone(), repeated: Vec::new() }
    }

    pub(crate) fn freeze(self) -> ApplicationContext {
        ApplicationContext { components: Arc::new(self.components) }
    }
}

/// What an `#[inject]` field may be: `Arc<T>`, `Option<Arc<T>>`, [`ApplicationContext`], or [`Sessions`](crate::Sessions).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected",
    label = "not an injectable type",
    note = "an `#[inject]` field is an `Arc<T>`, an `Option<Arc<T>>`, `Sessions` or `ApplicationContext`"
)]
pub trait Injected: Sized {
    /// What must have been provided.
    fn needs(needs: &mut dyn FnMut(TypeId, &'static str)) {
        let _ = needs;
    }

    /// The value.
    ///
    /// # Errors
    /// The component is missing.
    fn inject(context: &ApplicationContext) -> Result<Self>;
}

impl<T: ?Sized + Send + Sync + 'static> Injected for Arc<T> {
    fn needs(needs: &mut dyn FnMut(TypeId, &'static str)) {
        needs(TypeId::of::<T>(), type_name::<T>());
    }

    fn inject(context: &ApplicationContext) -> Result<Self> {
        context.get().ok_or_else(|| Error::msg(format!("no component `{}` was provided", type_name::<T>())))
    }
}

impl<T: ?Sized + Send + Sync + 'static> Injected for Option<Arc<T>> {
    fn inject(context: &ApplicationContext) -> Result<Self> {
        Ok(context.get())
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

#[cfg(test)]
mod tests {
    use super::*;

    trait Greeter: Send + Sync {
        fn greet(&self) -> &'static str;
    }
    struct English;
    impl Greeter for English {
        fn greet(&self) -> &'static str {
            "hello"
        }
    }

    #[test]
    fn components_are_found_by_type_and_by_trait() {
        let mut components = Components::default();
        components.add::<dyn Greeter>(Arc::new(English));
        components.add(Arc::new(7u32));
        let context = components.freeze();
        assert_eq!(context.get::<dyn Greeter>().unwrap().greet(), "hello");
        assert_eq!(*Arc::<u32>::inject(&context).unwrap(), 7);
        assert!(context.get::<English>().is_none());
        assert!(Option::<Arc<String>>::inject(&context).unwrap().is_none());
        assert!(Arc::<String>::inject(&context).is_err());
    }

    #[test]
    fn a_component_provided_twice_is_noticed() {
        let mut components = Components::default();
        components.add(Arc::new(1u8));
        components.add(Arc::new(2u8));
        assert_eq!(components.repeated(), ["u8"]);
    }
}
