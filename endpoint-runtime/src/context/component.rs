//! [`ComponentConfig`]: one component that the application is to have, annotated, provided or programmatic.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::declared::ComponentDeclared;
use super::event::{Observer, ObserverOf};
use super::lifecycle::{AwareOf, BoxFuture, ContextAware, Lifecycle, LifecycleOf};
use super::{ApplicationContext, Key, Need, Needs, problems};
use crate::error::{Place, Result};

/// An `Arc<T>` behind `Any`, so that `T` may be unsized.
pub(super) type Shared = Arc<dyn Any + Send + Sync>;

/// How a component is built.
type Make = Arc<dyn Fn(ApplicationContext) -> BoxFuture<'static, Result<Shared>> + Send + Sync>;

/// What a macro leaves in the program for the exporter to find.
pub struct ComponentRegistration {
    pub(crate) config: fn() -> ComponentConfig,
}

impl ComponentRegistration {
    /// The registration of the component that is configured like this.
    pub const fn new(config: fn() -> ComponentConfig) -> Self {
        ComponentRegistration { config }
    }
}

impl fmt::Debug for ComponentRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ComponentRegistration").field(&(self.config)()).finish()
    }
}

inventory::collect!(ComponentRegistration);

/// One component to be built: how, from what, and what it is to others (Spring's `BeanDefinition`).
///
/// `#[component]` and `#[provider]` make their own; one that is made by hand goes to
/// [`exporter.component(..)`](crate::ServerEndpointExporter::component):
///
/// ```
/// use endpoint_runtime as runtime;
/// use runtime::prelude::*;
/// use runtime::{ComponentConfig, Place};
///
/// struct Database(String);
/// struct Users(std::sync::Arc<Database>);
///
/// let users = ComponentConfig::new("Users", env!("CARGO_PKG_NAME"), Place::new(file!(), line!()), |context| async move {
///     Ok(Users(context.get::<Database>()?))
/// })
/// .needs(|needs| needs.asked_by("database", Place::new(file!(), line!())).component::<Database>());
///
/// let report = runtime::export_all().allow_empty().component(users).check();
/// assert!(report.to_string().contains("needs the component"), "{report}");
/// ```
#[derive(Clone)]
#[must_use = "a component is built when an exporter has it"]
pub struct ComponentConfig {
    /// The type that it is built as.
    pub(super) key: Key,
    /// What people call that.
    pub(super) type_name: &'static str,
    pub(super) name: Option<Cow<'static, str>>,
    package: Option<&'static str>,
    place: Place,
    pub(super) origin: Origin,
    pub(super) is_sized: bool,
    pub(super) is_lazy: bool,
    needs: Option<fn(&mut Needs)>,
    source: Source,
    /// As what else it is found.
    pub(super) views: Vec<View>,
    pub(super) lifecycle: Option<LifecycleOf>,
    pub(super) aware: Option<AwareOf>,
    pub(super) observer: Option<ObserverOf>,
    /// Types that it was said to be and is not.
    mistaken: Vec<&'static str>,
}

/// A reference to a trait object is longer than one to a plain type.
fn is_sized<T: ?Sized>() -> bool {
    size_of::<&T>() == size_of::<usize>()
}

/// Who wants the application to have the component. Where one is asked for and there are several, the first goes before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// Whoever configures the exporter.
    Given,
    /// An annotation.
    Registered,
}

/// `None` if it is not of the type that it was said to be.
type Share = dyn Fn(&Shared) -> Option<Shared> + Send + Sync;

#[derive(Clone)]
enum Source {
    Value(Shared),
    Make(Make),
}

/// Something else, a trait most likely, as which a component is found.
#[derive(Clone)]
pub(super) struct View {
    pub(super) key: Key,
    pub(super) share: Arc<Share>,
}

impl ComponentConfig {
    /// A component that is built when the application starts, once, after all that it [needs](Self::needs).
    ///
    /// `make` is called again only if it failed and the component is [lazy](Self::lazy). The context that it is given does not keep the
    /// application alive, so that the component may hold on to it.
    pub fn new<T, F, Fut>(type_name: &'static str, package: &'static str, place: Place, make: F) -> Self
    where
        T: Send + Sync + 'static,
        F: Fn(ApplicationContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let config = Self::built(type_name, place, make);
        ComponentConfig { package: Some(package), ..config }
    }

    /// The component that `T` is by its `#[component]`. It takes the place of the one that this has registered:
    ///
    /// ```standalone_crate
    /// use endpoint_runtime::ComponentConfig;
    /// use endpoint_runtime::prelude::*;
    ///
    /// #[component]
    /// struct Search;
    ///
    /// // Not before anybody searches.
    /// let exporter = endpoint_runtime::export_all().component(ComponentConfig::of::<Search>().lazy());
    /// # let _ = exporter;
    /// ```
    pub fn of<T: ComponentDeclared>() -> Self {
        T::config()
    }

    /// A component that is there already, to be given a name, a [`Lifecycle`] or more:
    ///
    /// ```
    /// # use endpoint_runtime::{ComponentConfig, prelude::*};
    /// struct Pool;
    /// impl Lifecycle for Pool {}
    ///
    /// let pool = ComponentConfig::value(Pool).named("main").lifecycle::<Pool>();
    /// # let _ = pool;
    /// ```
    #[track_caller]
    pub fn value<T: Send + Sync + 'static>(component: T) -> Self {
        Self::shared(Arc::new(component), Place::caller())
    }

    pub(crate) fn shared<T: ?Sized + Send + Sync + 'static>(component: Arc<T>, place: Place) -> Self {
        let key = Key::of::<T>();
        Self::with(key, key.type_name, place, is_sized::<T>(), Source::Value(Arc::new(component)))
    }

    pub(crate) fn built<T, F, Fut>(type_name: &'static str, place: Place, make: F) -> Self
    where
        T: Send + Sync + 'static,
        F: Fn(ApplicationContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let make = move |context| -> BoxFuture<'static, Result<Shared>> {
            let made = make(context);
            Box::pin(async move { Ok(Arc::new(Arc::new(made.await?)) as Shared) })
        };
        Self::with(Key::of::<T>(), type_name, place, true, Source::Make(Arc::new(make)))
    }

    /// What a macro says of a component, whose type may be a trait; all but what it is called goes by `D`.
    #[doc(hidden)]
    pub fn declared<D: ComponentDeclared>(
        type_name: &'static str,
        package: &'static str,
        place: Place,
    ) -> Self {
        let make = |context: ApplicationContext| -> BoxFuture<'static, Result<Shared>> {
            Box::pin(async move { Ok(Arc::new(D::make(&context).await?) as Shared) })
        };
        let key = Key::of::<D::Component>();
        let is_sized = is_sized::<D::Component>();
        let config = Self::with(key, type_name, place, is_sized, Source::Make(Arc::new(make)));
        ComponentConfig { package: Some(package), needs: Some(D::needs), ..config }
    }

    fn with(key: Key, type_name: &'static str, place: Place, is_sized: bool, source: Source) -> Self {
        ComponentConfig {
            key,
            type_name,
            name: None,
            package: None,
            place,
            origin: Origin::Given,
            is_sized,
            is_lazy: false,
            needs: None,
            source,
            views: Vec::new(),
            lifecycle: None,
            aware: None,
            observer: None,
            mistaken: Vec::new(),
        }
    }

    /// Gives it a name, by which it is told from others of its type.
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Builds it only when somebody uses a [`Lazy`](crate::Lazy) of it, or something that is built needs it; at the start, if an endpoint
    /// does.
    pub fn lazy(mut self) -> Self {
        self.is_lazy = true;
        self
    }

    /// Says what it needs: that is checked beforehand, and built before it.
    pub fn needs(mut self, needs: fn(&mut Needs)) -> Self {
        self.needs = Some(needs);
        self
    }

    /// Lets it be found as a `U` too, which is a trait most likely: `provides::<FileAudit, dyn Audit>(|audit| audit)`. `T` is the type
    /// that it is built as.
    pub fn provides<T, U>(mut self, share: fn(Arc<T>) -> Arc<U>) -> Self
    where
        T: Send + Sync + 'static,
        U: ?Sized + Send + Sync + 'static,
    {
        self.expect::<T>();
        let share = move |shared: &Shared| {
            let component = shared.downcast_ref::<Arc<T>>()?;
            Some(Arc::new(share(Arc::clone(component))) as Shared)
        };
        self.views.push(View { key: Key::of::<U>(), share: Arc::new(share) });
        self
    }

    /// Tells it when the application starts and ends. `T` is the type that it is built as.
    pub fn lifecycle<T: Lifecycle>(mut self) -> Self {
        self.expect::<T>();
        self.lifecycle = Some(LifecycleOf::of::<T>());
        self
    }

    /// Hands it the application context. `T` is the type that it is built as.
    pub fn aware<T: ContextAware>(mut self) -> Self {
        self.expect::<T>();
        self.aware = Some(AwareOf::of::<T>());
        self
    }

    /// Tells it what happens to the application, once it is built. `T` is the type that it is built as.
    pub fn observer<T: Observer>(mut self) -> Self {
        self.expect::<T>();
        self.observer = Some(ObserverOf::of::<T>());
        self
    }

    /// That it is a `T` is checked when the application is.
    fn expect<T: 'static>(&mut self) {
        if self.key.id != TypeId::of::<T>() {
            self.mistaken.push(std::any::type_name::<T>());
        }
    }

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Its own name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it is declared.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Whether it is of the type `T`.
    pub fn is<T: ?Sized + 'static>(&self) -> bool {
        self.key.id == TypeId::of::<T>()
    }

    pub(crate) fn registered(mut self) -> Self {
        self.origin = Origin::Registered;
        self
    }

    /// What no two components have in common.
    pub(crate) fn identity(&self) -> (TypeId, Option<&str>) {
        (self.key.id, self.name())
    }

    pub(super) fn mistaken(&self) -> &[&'static str] {
        &self.mistaken
    }

    pub(super) fn all_needs(&self) -> Vec<Need> {
        let mut needs = Needs::new(self.place);
        if let Some(gather) = self.needs {
            gather(&mut needs);
        }
        needs.into_found()
    }

    /// Whether a macro has written it.
    pub(super) fn is_annotated(&self) -> bool {
        self.origin == Origin::Registered
    }

    /// What it is found as, if nothing need be done for it: a plain value.
    pub(super) fn ready(&self) -> Option<Vec<Option<Shared>>> {
        match &self.source {
            Source::Value(shared)
                if self.views.is_empty() && self.lifecycle.is_none() && self.aware.is_none() =>
            {
                Some(vec![Some(Arc::clone(shared))])
            }
            _ => None,
        }
    }

    /// Builds it.
    pub(super) fn make(&self, context: ApplicationContext) -> BoxFuture<'static, Result<Shared>> {
        match &self.source {
            Source::Value(shared) => Box::pin(std::future::ready(Ok(Arc::clone(shared)))),
            Source::Make(make) => make(context),
        }
    }

    /// As what it is found: first its own type.
    pub(super) fn seen(&self, shared: Shared) -> Vec<Option<Shared>> {
        let mut all = Vec::with_capacity(1 + self.views.len());
        let views: Vec<_> = self.views.iter().map(|view| (view.share)(&shared)).collect();
        all.push(Some(shared));
        all.extend(views);
        all
    }
}

/// As a problem names it: type, name and place.
impl fmt::Display for ComponentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", problems::called(self.type_name, self.name()), self.place)
    }
}

impl fmt::Debug for ComponentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentConfig")
            .field("type", &self.type_name)
            .field("name", &self.name)
            .field("package", &self.package)
            .field("place", &self.place.to_string())
            .finish_non_exhaustive()
    }
}
