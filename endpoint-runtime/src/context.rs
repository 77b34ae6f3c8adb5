//! The application around the endpoints: its components, by type, trait and name.
//!
//! Which components there are, and what each of them needs, is known before any is built: [`ComponentConfig`]s make an [`ApplicationContext`]
//! with an empty place for each, what is wrong with them is found out ([`problems`]), and then the places are filled ([`build`]). Nothing
//! else ever changes in it, so that looking a component up takes no lock.

mod build;
mod component;
mod declared;
mod event;
mod index;
mod injected;
mod lazy;
mod lifecycle;
mod needs;
mod order;
mod problems;

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use self::build::Progress;
pub(crate) use self::build::Undo;
use self::component::Shared;
pub use self::component::{ComponentConfig, ComponentRegistration};
pub use self::declared::{ComponentDeclared, Made, NoResult, NoRoles, Returned, Roles, is_whole};
use self::event::Observers;
pub use self::event::{ApplicationEvent, Observer};
use self::index::{Candidate, Choice, Index};
pub use self::injected::{Inject, Injected, InjectedByName, Named};
pub use self::lazy::Lazy;
pub use self::lifecycle::{ContextAware, Lifecycle};
pub use self::needs::Needs;
pub(crate) use self::needs::{How, Key, Need, Wanted};
use self::order::Dependency;
pub(crate) use self::problems::Unmet;
use crate::error::{Error, Result};
use crate::settings::{Settings, Values};

/// The components of the application, by type, trait and name. Cheap to clone; nothing is added once the server has started, so that looking
/// one up takes no lock.
///
/// A component is declared by `#[component]` or given to the exporter, by [`provide`](crate::ServerEndpointExporter::provide) and its
/// relatives. It is asked for by an `#[inject]` field, an [`Inject<T>`] parameter, [`get`](Self::get), and, where nobody hands one a
/// context, by [`ApplicationContext::current`]. Those of the runtime are among them: [`Sessions`](crate::Sessions),
/// [`Container`](crate::Container) and [`Settings`](crate::Settings).
///
/// Of several components of one type at most one has no name: that is the one that is meant where none is given. If all have names, or
/// if several are found as one trait, the name must be said, which is checked before the server starts; so is that what is asked for exists.
/// What the exporter was given goes before what annotations have registered: a test that provides a component of its own has that one.
///
/// The context that a component, an observer or a hook of the start is given, and the [current](Self::current) one, do not keep the
/// application alive: once that has ended, nothing is found in them.
#[derive(Clone, Default)]
pub struct ApplicationContext(Handle);

#[derive(Clone)]
enum Handle {
    Whole(Arc<Inner>),
    /// What components have: they must not keep themselves alive.
    Within(Weak<Inner>),
}

/// A context for as long as one looks at it.
enum Held<'a> {
    Lent(&'a Inner),
    Own(Arc<Inner>),
}

struct Inner {
    me: Weak<Inner>,
    configs: Vec<ComponentConfig>,
    /// Beside each of them what it needs, and itself when it is built.
    places: Vec<ComponentPlace>,
    index: Index,
    /// Where to look for what is not found here.
    parent: Option<ApplicationContext>,
    values: Values,
    /// How long one component may take to be destroyed.
    destroy_timeout: Duration,
    observers: Observers,
    /// Names the server in whose name the components' code runs.
    node: u64,
    progress: Mutex<Progress>,
    /// Tasks that build what is lazy.
    builders: TaskTracker,
}

#[derive(Default)]
struct ComponentPlace {
    dependencies: Vec<Dependency>,
    /// As each of the things that it is found as.
    built: OnceCell<Vec<Option<Shared>>>,
    /// Whether it has been told that the application stands.
    is_settled: AtomicBool,
}

impl ApplicationContext {
    /// A context whose components are to be built.
    pub(crate) fn new(
        components: Components,
        settings: &Settings,
        observers: Vec<Arc<dyn Observer>>,
        node: u64,
    ) -> Self {
        let Components { configs, parent } = components;
        let index = Index::new(&configs);
        let places = configs
            .iter()
            .enumerate()
            .map(|(at, config)| ComponentPlace {
                dependencies: order::dependencies(at, &configs, &index),
                built: OnceCell::new_with(config.ready()),
                is_settled: AtomicBool::new(false),
            })
            .collect();
        let of_components =
            configs.iter().enumerate().filter_map(|(at, config)| Some((at, config.observer?)));
        let observers = Observers { given: observers, components: of_components.collect() };
        Self(Handle::Whole(Arc::new_cyclic(|me| Inner {
            me: me.clone(),
            configs,
            places,
            index,
            parent,
            values: settings.values.clone(),
            destroy_timeout: settings.destroy_timeout,
            observers,
            node,
            progress: Mutex::default(),
            builders: TaskTracker::new(),
        })))
    }

    /// The component `T`, which may be a trait (`dyn Audit`).
    ///
    /// ```
    /// # use endpoint_runtime::prelude::*;
    /// # struct Theatre;
    /// fn seats(context: &ApplicationContext) -> Result<usize> {
    ///     let theatre = context.get::<Theatre>()?;
    /// #   let _ = theatre;
    ///     Ok(7)
    /// }
    /// ```
    ///
    /// # Errors
    /// Nobody provides it; several do, and none without a name; it is [lazy](crate::ComponentConfig::lazy) and not built; or the application
    /// has ended. Endpoints and components that ask by `#[inject]` need not fear any of it.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.find().ok_or_else(|| self.why_not(Key::of::<T>(), None))
    }

    /// [`get`](Self::get), or `None` where it would fail.
    pub fn find<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.inner()?.find(None)
    }

    /// The component `T` of this name.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn named<T: ?Sized + Send + Sync + 'static>(&self, name: &str) -> Result<Arc<T>> {
        self.find_named(name).ok_or_else(|| self.why_not(Key::of::<T>(), Some(name)))
    }

    /// [`named`](Self::named), or `None` where it would fail.
    pub fn find_named<T: ?Sized + Send + Sync + 'static>(&self, name: &str) -> Option<Arc<T>> {
        self.inner()?.find(Some(name))
    }

    /// All components of a type or trait: first those that the exporter was given, in that order, then those that annotations registered, by
    /// type and name. [Lazy](crate::ComponentConfig::lazy) ones are among them if they are built.
    pub fn all<T: ?Sized + Send + Sync + 'static>(&self) -> Vec<Arc<T>> {
        self.all_named().into_iter().map(|named: Named<T>| Arc::clone(named.component())).collect()
    }

    /// [`all`](Self::all), with their names.
    pub fn all_named<T: ?Sized + Send + Sync + 'static>(&self) -> Vec<Named<T>> {
        let Some(inner) = self.inner() else { return Vec::new() };
        let own = inner.index.all(Key::of::<T>().id).iter();
        let own =
            own.filter_map(|&one| Some(Named::new(inner.configs[one.component].name(), inner.see(one)?)));
        let inherited = inner.parent.iter().flat_map(ApplicationContext::all_named);
        own.chain(inherited).collect()
    }

    /// The component `T`, to be built when it is used.
    pub fn lazy<T: ?Sized + Send + Sync + 'static>(&self) -> Lazy<T> {
        Lazy::new(self.clone(), None)
    }

    /// The component `T` of this name, to be built when it is used.
    pub fn lazy_named<T: ?Sized + Send + Sync + 'static>(&self, name: &'static str) -> Lazy<T> {
        Lazy::new(self.clone(), Some(name))
    }

    /// A setting of the application's own: `chat.max_len` is `max_len` of the table `[chat]` in `endpoint.toml`, or
    /// `ENDPOINT_CHAT__MAX_LEN`. See [`Settings::values`](crate::Settings::values). An `Option<T>` may be missing.
    ///
    /// # Errors
    /// It is not there, or is not a `T`; the text names the key, the place where it stands, and what was expected.
    pub fn value<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        match self.values_with(key) {
            Some(values) => Ok(values.get(key)?),
            None => Err(ended()),
        }
    }

    /// [`value`](Self::value), or `None` if it is not there.
    ///
    /// # Errors
    /// It is there and is not a `T`.
    pub fn find_value<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        match self.values_with(key) {
            Some(values) => Ok(values.find(key)?),
            None => Err(ended()),
        }
    }

    /// The values among which that of this key is to be found; an application that has ended has none.
    fn values_with(&self, key: &str) -> Option<Values> {
        let inner = self.inner()?;
        match &inner.parent {
            Some(parent) if !inner.values.contains(key) => parent.values_with(key),
            _ => Some(inner.values.clone()),
        }
    }

    /// The same, for those who may hold on to it and are held by it.
    pub(crate) fn within(&self) -> Self {
        Self(match &self.0 {
            Handle::Whole(inner) => Handle::Within(Arc::downgrade(inner)),
            Handle::Within(inner) => Handle::Within(Weak::clone(inner)),
        })
    }

    fn inner(&self) -> Option<Held<'_>> {
        match &self.0 {
            Handle::Whole(inner) => Some(Held::Lent(inner)),
            Handle::Within(inner) => inner.upgrade().map(Held::Own),
        }
    }
}

impl Inner {
    fn find<T: ?Sized + Send + Sync + 'static>(&self, name: Option<&str>) -> Option<Arc<T>> {
        match self.choose(Key::of::<T>(), name) {
            Choice::One(candidate) => self.see(candidate),
            Choice::Several => None,
            Choice::None => self.parent.as_ref()?.inner()?.find(name),
        }
    }

    fn choose(&self, key: Key, name: Option<&str>) -> Choice {
        self.index.choose(&self.configs, key.id, name)
    }

    /// What is built of a component, as one of the things that it is.
    fn see<T: ?Sized + Send + Sync + 'static>(&self, candidate: Candidate) -> Option<Arc<T>> {
        let views = self.places[candidate.component].built.get()?;
        views.get(candidate.view)?.as_ref()?.downcast_ref::<Arc<T>>().cloned()
    }

    /// What is built of a component, as its own type.
    fn built(&self, index: usize) -> Option<&Shared> {
        self.places[index].built.get()?.first()?.as_ref()
    }
}

fn ended() -> Error {
    Error::msg("the application has ended")
}

/// Components on their way into an [`ApplicationContext`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Components {
    configs: Vec<ComponentConfig>,
    parent: Option<ApplicationContext>,
}

impl Components {
    pub(crate) fn add(&mut self, config: ComponentConfig) {
        self.configs.push(config);
    }

    /// Adds a component in the place of one that is there already.
    #[cfg(feature = "client")]
    pub(crate) fn put(&mut self, config: ComponentConfig) {
        self.configs.retain(|other| other.identity() != config.identity());
        self.add(config);
    }

    /// What annotations have registered, in a stable order: link order is none. What was added by hand goes before a component of the
    /// same type and name.
    pub(crate) fn add_registered(&mut self) {
        let given: std::collections::HashSet<_> =
            self.configs.iter().map(ComponentConfig::identity).collect();
        let registered = inventory::iter::<ComponentRegistration>.into_iter();
        let mut registered: Vec<_> = registered
            .map(|one| (one.config)().registered())
            .filter(|one| !given.contains(&one.identity()))
            .collect();
        registered
            .sort_by(|a, b| (a.type_name(), a.name(), a.place()).cmp(&(b.type_name(), b.name(), b.place())));
        drop(given);
        self.configs.append(&mut registered);
    }

    /// What another context has.
    #[cfg(feature = "client")]
    pub(crate) fn of(context: &ApplicationContext) -> Self {
        Components { configs: Vec::new(), parent: Some(context.clone()) }
    }
}

impl Default for Handle {
    fn default() -> Self {
        let nothing = ApplicationContext::new(Components::default(), &Settings::default(), Vec::new(), 0);
        nothing.0
    }
}

impl Deref for Held<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        match self {
            Held::Lent(inner) => inner,
            Held::Own(inner) => inner,
        }
    }
}

impl fmt::Debug for ApplicationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.inner().map(|inner| inner.names()).unwrap_or_default();
        f.debug_tuple("ApplicationContext").field(&names).finish()
    }
}

#[cfg(test)]
mod tests;
