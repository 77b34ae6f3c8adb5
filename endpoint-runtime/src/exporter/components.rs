//! What the builder says of the application around the endpoints: its components, who observes it, what happens before it listens.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use super::ServerEndpointExporter;
use crate::context::{ApplicationContext, ComponentConfig, Lifecycle, Observer};
use crate::endpoint::short_name;
use crate::error::{Place, Result};
use crate::handshake::BearerTokens;

/// The application around the endpoints.
impl ServerEndpointExporter {
    /// Provides a component, by its type.
    #[track_caller]
    pub fn provide<T: Send + Sync + 'static>(self, component: T) -> Self {
        self.provide_shared(Arc::new(component))
    }

    /// Provides a component that is shared already; `T` may be a trait: `provide_shared::<dyn Audit>(..)`. Of a trait there may be several.
    #[track_caller]
    pub fn provide_shared<T: ?Sized + Send + Sync + 'static>(self, component: Arc<T>) -> Self {
        let place = Place::caller();
        self.component(ComponentConfig::shared(component, place))
    }

    /// Provides one of several components of a type, by its name (Spring's `@Qualifier`).
    #[track_caller]
    pub fn provide_named<T: Send + Sync + 'static>(
        self,
        name: impl Into<Cow<'static, str>>,
        component: T,
    ) -> Self {
        let place = Place::caller();
        self.component(ComponentConfig::shared(Arc::new(component), place).named(name))
    }

    /// Provides a component that is told when the application starts and ends.
    #[track_caller]
    pub fn provide_managed<T: Lifecycle>(self, component: T) -> Self {
        let place = Place::caller();
        self.component(ComponentConfig::shared(Arc::new(component), place).lifecycle::<T>())
    }

    /// Provides a component that it takes code to make. It is made once, when the application starts, and before whatever needs it.
    ///
    /// What it needs itself shows only when it runs: it finds what is provided as a value, what an earlier `provide_with` or
    /// [`component`](Self::component) builds, and whatever else by `context.lazy::<T>().get().await`, which builds it there and then. A
    /// component whose needs are known and checked beforehand is declared by `#[provider]`, or by [`ComponentConfig::needs`].
    ///
    /// ```no_run
    /// # use endpoint_runtime::{Settings, prelude::*};
    /// # struct Database;
    /// # impl Database { async fn connect(_: std::sync::Arc<Settings>) -> Result<Self> { Ok(Database) } }
    /// # async fn f() -> Result<()> {
    /// endpoint_runtime::export_all()
    ///     .provide_with(|context| async move { Database::connect(context.get::<Settings>()?).await })
    ///     .serve()
    ///     .await
    /// # }
    /// ```
    #[track_caller]
    pub fn provide_with<T, F, Fut>(self, make: F) -> Self
    where
        T: Send + Sync + 'static,
        F: Fn(ApplicationContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let place = Place::caller();
        self.component(ComponentConfig::built(short_name::<T>(), place, make))
    }

    /// Adds a component that is configured by hand. It takes the place of one of the same type and name that an annotation has registered.
    pub fn component(mut self, config: ComponentConfig) -> Self {
        self.components.add(config);
        self
    }

    /// Tells an observer what happens to the application: an [`Observer`], or a closure `|event: &ApplicationEvent| ..`. Where nobody
    /// observes, a session costs nothing more.
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Called when all components are built and told so, and before anything is opened; of several, in their order. If it fails the
    /// application does not start.
    ///
    /// ```no_run
    /// # use endpoint_runtime::prelude::*;
    /// # struct Database;
    /// # impl Database { async fn migrate(&self) -> Result<()> { Ok(()) } }
    /// # async fn f() -> Result<()> {
    /// endpoint_runtime::export_all()
    ///     .provide(Database)
    ///     .before_listening(|context| async move { context.get::<Database>()?.migrate().await })
    ///     .serve()
    ///     .await
    /// # }
    /// ```
    #[track_caller]
    pub fn before_listening<F, Fut>(mut self, act: F) -> Self
    where
        F: FnOnce(ApplicationContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.hooks.push((Place::caller(), Box::new(move |context| Box::pin(act(context)))));
        self
    }

    /// Accepts bearer tokens at every endpoint, and establishes whose they are. They are a component of the application: one that
    /// [provides](Self::provide) them does the same as this.
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    /// use endpoint_runtime::{BearerTokens, export_all};
    ///
    /// struct User;
    /// # async fn look_up(_: String) -> Option<User> { None }
    ///
    /// let exporter = export_all().bearer(BearerTokens::new(|token: String| async move {
    ///     let user = look_up(token).await.ok_or_else(|| Refusal::unauthorized("this token is not valid"))?;
    ///     Ok(Principal::new(user).named("bo").role("admin"))
    /// }));
    /// ```
    pub fn bearer(self, tokens: BearerTokens) -> Self {
        self.provide(tokens)
    }
}
