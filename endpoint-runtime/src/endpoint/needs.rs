//! What an endpoint needs of the application, gathered before anything is started.

use std::any::TypeId;

use super::Place;
use crate::context::Injected;

/// One component that an endpoint needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// What is to be found in the context.
    pub(crate) component: TypeId,
    /// Its name, for people.
    pub(crate) component_name: &'static str,
    /// Which field or parameter asks for it.
    pub(crate) asked_by: &'static str,
    /// Where that stands.
    pub(crate) place: Place,
}

/// What an endpoint needs of the application: filled by [`FromContext::needs`](crate::FromContext::needs), checked by the exporter.
#[derive(Debug)]
pub struct Needs {
    asked_by: &'static str,
    place: Place,
    found: Vec<Need>,
}

impl Needs {
    pub(crate) fn new(place: Place) -> Self {
        Needs { asked_by: "", place, found: Vec::new() }
    }

    /// What follows is asked for by the field or parameter of this name.
    #[doc(hidden)]
    pub fn asked_by(&mut self, name: &'static str, place: Place) -> &mut Self {
        self.asked_by = name;
        self.place = place;
        self
    }

    /// The component `T` must have been provided.
    pub fn component<T: ?Sized + 'static>(&mut self) {
        self.add(TypeId::of::<T>(), std::any::type_name::<T>());
    }

    /// What the field or parameter of this name needs, to be injected as a `T`.
    pub(crate) fn injected<T: Injected>(&mut self) {
        T::needs(&mut |component, name| self.add(component, name));
    }

    fn add(&mut self, component: TypeId, component_name: &'static str) {
        self.found.push(Need { component, component_name, asked_by: self.asked_by, place: self.place });
    }

    pub(crate) fn into_found(self) -> Vec<Need> {
        self.found
    }
}
