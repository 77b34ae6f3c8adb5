//! What a component may have done to it beside being built: [`Lifecycle`] and [`ContextAware`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::ApplicationContext;
use super::component::Shared;
use crate::error::Result;

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a component does when the application starts and ends (Spring's `InitializingBean` and `DisposableBean`). Both methods are optional.
///
/// A component that `#[component]` declares has it called because it implements it; a value is given to the exporter by
/// [`provide_managed`](crate::ServerEndpointExporter::provide_managed), and a component that is configured by hand says
/// [`lifecycle`](crate::ComponentConfig::lifecycle).
///
/// ```
/// use endpoint_runtime::prelude::*;
///
/// struct Cache;
///
/// impl Lifecycle for Cache {
///     async fn after_properties_set(&self) -> Result<()> {
///         println!("warming up");
///         Ok(())
///     }
///     async fn destroy(&self) {
///         println!("flushing");
///     }
/// }
/// ```
pub trait Lifecycle: Send + Sync + 'static {
    /// Called once all components are built, before any connection is accepted: in the order in which they were built, what a component
    /// needs before itself. A [lazy](crate::ComponentConfig::lazy) one is told when it is built.
    ///
    /// # Errors
    /// The application does not start: what was built is destroyed, and nothing was opened.
    fn after_properties_set(&self) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Called when the application ends and no session is left, in the reverse of the order in which the components were built: what it
    /// needs is still there. It is called too if the start failed after the component was built. It may take
    /// [`destroy_timeout`](crate::Settings::destroy_timeout); then it is cancelled.
    fn destroy(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// An object that receives the application context it lives in (Spring's `ApplicationContextAware`).
///
/// The context is there for as long as the application runs; it does not keep it alive, so that a component may hold on to it.
pub trait ContextAware: Send + Sync + 'static {
    /// Called once all components are built, before any [`after_properties_set`](Lifecycle::after_properties_set).
    fn set_application_context(&self, context: &ApplicationContext);
}

/// The two methods of a [`Lifecycle`], whatever its type.
#[derive(Clone, Copy)]
pub(super) struct LifecycleOf {
    pub(super) after_properties_set: fn(&Shared) -> Option<BoxFuture<'static, Result<()>>>,
    pub(super) destroy: fn(&Shared) -> Option<BoxFuture<'static, ()>>,
}

impl LifecycleOf {
    pub(super) fn of<T: Lifecycle>() -> Self {
        LifecycleOf {
            after_properties_set: |shared| {
                let component = shared.downcast_ref::<Arc<T>>().cloned()?;
                Some(Box::pin(async move { component.after_properties_set().await }))
            },
            destroy: |shared| {
                let component = shared.downcast_ref::<Arc<T>>().cloned()?;
                Some(Box::pin(async move { component.destroy().await }))
            },
        }
    }
}

/// The method of a [`ContextAware`], whatever its type.
#[derive(Clone, Copy)]
pub(super) struct AwareOf {
    pub(super) set: fn(&Shared, &ApplicationContext),
}

impl AwareOf {
    pub(super) fn of<T: ContextAware>() -> Self {
        AwareOf {
            set: |shared, context| {
                if let Some(component) = shared.downcast_ref::<Arc<T>>() {
                    component.set_application_context(context);
                }
            },
        }
    }
}
