//! [`Attributes`]: what the application keeps of a session, by type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use once_cell::race::OnceBox;

/// Values that belong to a session, one for each type (Jakarta's user properties, SES-28, but typed). They live as long as
/// somebody holds the session, so `#[on_close]` still reads them.
///
/// ```
/// # use endpoint_runtime::Session;
/// #[derive(Clone)]
/// struct Nickname(String);
///
/// fn rename(session: &Session, name: &str) {
///     session.attributes().insert(Nickname(name.to_owned()));
/// }
///
/// fn name(session: &Session) -> String {
///     session.attributes().get().map_or_else(|| "stranger".to_owned(), |Nickname(name)| name)
/// }
/// ```
#[derive(Default)]
pub struct Attributes(OnceBox<Kept>);

type Values = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

#[derive(Default)]
struct Kept {
    values: Mutex<Values>,
    /// Is told when they have changed.
    watcher: OnceBox<Watcher>,
}

type Watcher = Box<dyn Fn() + Send + Sync>;

impl Attributes {
    /// Keeps `value`; gives back the one of this type that was there before.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        self.0.get_or_init(Box::default);
        let before = self.with(|values| values.insert(TypeId::of::<T>(), Arc::new(value)));
        self.note_change();
        before??.downcast().ok()
    }

    /// A copy of the value of type `T`.
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.get_shared::<T>().map(Arc::unwrap_or_clone)
    }

    /// The value of type `T`, shared: for what cannot be cloned, or is large.
    pub fn get_shared<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.with(|values| values.get(&TypeId::of::<T>()).cloned());
        value??.downcast().ok()
    }

    /// Takes the value of type `T` out.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.with(|values| values.remove(&TypeId::of::<T>()));
        self.note_change();
        value??.downcast().ok()
    }

    /// Whether there is a value of type `T`.
    pub fn contains<T: Send + Sync + 'static>(&self) -> bool {
        self.with(|values| values.contains_key(&TypeId::of::<T>())).unwrap_or(false)
    }

    /// Looks at the values, if there ever were any. No code of the user's runs under this lock, not even a destructor.
    fn with<R>(&self, act: impl FnOnce(&mut Values) -> R) -> Option<R> {
        let values = &self.0.get()?.values;
        Some(act(&mut values.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Tells `watcher` of each change from now on. Said once.
    #[cfg(feature = "json")]
    pub(crate) fn watch(&self, watcher: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.get_or_init(Box::default).watcher.set(Box::new(Box::new(watcher)));
    }

    fn note_change(&self) {
        if let Some(watcher) = self.0.get().and_then(|kept| kept.watcher.get()) {
            watcher();
        }
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attributes({})", self.with(|values| values.len()).unwrap_or(0))
    }
}

/// What the attributes of each new session are filled with: values to be cloned (Jakarta SE-09).
#[derive(Clone, Default)]
pub(crate) struct Seeds(Vec<Seed>);

/// Puts a copy of its value into the attributes.
type Seed = Arc<dyn Fn(&Attributes) + Send + Sync>;

impl Seeds {
    pub(crate) fn add<T: Clone + Send + Sync + 'static>(&mut self, value: T) {
        self.0.push(Arc::new(move |attributes| {
            attributes.insert(value.clone());
        }));
    }

    /// Gives the attributes a copy of each value.
    pub(crate) fn sow(&self, attributes: &Attributes) {
        self.0.iter().for_each(|seed| seed(attributes));
    }
}

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seeds({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_for_each_type() {
        let attributes = Attributes::default();
        assert_eq!(attributes.insert(1u8), None);
        assert_eq!(attributes.insert(2u8).as_deref(), Some(&1));
        attributes.insert("text");
        assert_eq!(attributes.get::<u8>(), Some(2));
        assert_eq!(attributes.get_shared::<u8>().as_deref(), Some(&2));
        assert!(attributes.contains::<&str>());
        assert_eq!(attributes.remove::<u8>().as_deref(), Some(&2));
        assert_eq!(attributes.get::<u8>(), None);
    }

    #[test]
    fn each_session_has_copies_of_its_own() {
        let mut seeds = Seeds::default();
        seeds.add(String::from("first"));
        seeds.add(String::from("second"));
        seeds.add(Arc::new(7u8));
        let (one, other) = (Attributes::default(), Attributes::default());
        seeds.sow(&one);
        seeds.sow(&other);
        one.insert(String::from("changed"));
        assert_eq!(other.get::<String>().as_deref(), Some("second"), "the last of a type counts");
        assert!(
            Arc::ptr_eq(&one.get::<Arc<u8>>().unwrap(), &other.get::<Arc<u8>>().unwrap()),
            "a shallow copy"
        );
    }
}
