//! What an endpoint or a component needs of the application, gathered before anything is started.

use std::any::{TypeId, type_name};

use serde::de::DeserializeOwned;

use super::{Injected, InjectedByName};
use crate::error::Place;
use crate::settings::{ValueError, Values};

/// One thing that an endpoint or a component needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) wanted: Wanted,
    /// Which field or parameter asks for it; empty if nobody said.
    pub(crate) asked_by: &'static str,
    /// Where that stands.
    pub(crate) place: Place,
}

/// What may be needed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// A component.
    One { key: Key, name: Option<&'static str>, how: How },
    /// All components of a type or trait; there may be none.
    All(Key),
    /// A value of the settings.
    Value { key: &'static str, check: fn(&Values, &str) -> Result<(), ValueError> },
}

/// How much a component is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It must be there, and is built before.
    Required,
    /// It is built before if it is there.
    Optional,
    /// It must be there, and is built when it is used.
    Lazily,
}

/// A type or trait by which components are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: TypeId,
    /// Its name, for people.
    pub(crate) type_name: &'static str,
}

impl Key {
    pub(crate) fn of<T: ?Sized + 'static>() -> Self {
        Key { id: TypeId::of::<T>(), type_name: type_name::<T>() }
    }
}

/// What an endpoint or a component needs of the application: filled by [`FromContext::needs`](crate::FromContext::needs) and
/// [`ComponentConfig::needs`](crate::ComponentConfig::needs), checked by the exporter before anything is built.
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

    /// What follows is asked for by the field or parameter of this name, which stands there.
    pub fn asked_by(&mut self, name: &'static str, place: Place) -> &mut Self {
        self.asked_by = name;
        self.place = place;
        self
    }

    /// The component `T` must have been provided.
    pub fn component<T: ?Sized + 'static>(&mut self) {
        self.one::<T>(None, How::Required);
    }

    /// The component `T` of this name must have been provided.
    pub fn named<T: ?Sized + 'static>(&mut self, name: &'static str) {
        self.one::<T>(Some(name), How::Required);
    }

    /// What it takes to inject a `T`.
    pub fn injected<T: Injected>(&mut self) {
        T::needs(self);
    }

    /// What it takes to inject the `T` of this name.
    pub fn injected_by_name<T: InjectedByName>(&mut self, name: &'static str) {
        T::needs_named(self, name);
    }

    /// The setting `key` must be a `T`, as [`ApplicationContext::value`](crate::ApplicationContext::value) reads it. If there is a default
    /// it may be missing.
    pub fn value<T: DeserializeOwned>(&mut self, key: &'static str, has_default: bool) {
        let check = if has_default { Values::check_if_set::<T> } else { Values::check::<T> };
        self.add(Wanted::Value { key, check });
    }

    /// All components of this type or trait.
    pub(crate) fn all<T: ?Sized + 'static>(&mut self) {
        self.add(Wanted::All(Key::of::<T>()));
    }

    pub(crate) fn one<T: ?Sized + 'static>(&mut self, name: Option<&'static str>, how: How) {
        self.add(Wanted::One { key: Key::of::<T>(), name, how });
    }

    fn add(&mut self, wanted: Wanted) {
        self.found.push(Need { wanted, asked_by: self.asked_by, place: self.place });
    }

    pub(crate) fn into_found(self) -> Vec<Need> {
        self.found
    }
}
