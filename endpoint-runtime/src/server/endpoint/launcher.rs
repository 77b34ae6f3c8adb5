//! [`Launcher`]: how an endpoint's connections are started, whatever its type.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::task::TaskTracker;

use crate::connection::{self, Upgraded};
use crate::context::{ApplicationContext, Need, Needs};
use crate::endpoint::{
    Annotated, AnyConfigurator, Endpoint, Handlers, Held, Intake, Programmatic, Scope, ServerDeclared,
};
use crate::error::{Place, Refusal, Result};
use crate::session::{Handshake, Session};

/// What has a look at each new instance, if there is any.
type Configurator = Option<Arc<dyn AnyConfigurator>>;

/// How an endpoint's connections are started. Called once for each connection; what it starts knows the type.
pub(crate) trait Launcher: Send + Sync {
    /// What the endpoint needs of the application.
    fn needs(&self, place: Place) -> Vec<Need>;

    /// Itself, ready to serve in one server: with the shared instance, if there is one. A configuration may be deployed in several
    /// servers, each with components of its own.
    fn prepare(&self, context: &ApplicationContext, configurator: Configurator) -> Result<Arc<dyn Launcher>>;

    /// A new configurator, if the endpoint's type names one.
    fn configurator(&self) -> Configurator {
        None
    }

    /// What the endpoint's parameters ask of a handshake.
    fn admit(&self, handshake: &Handshake) -> Result<(), Refusal>;

    /// Which messages its methods take. What is written by hand gives way to message handlers, so it claims none.
    fn intake(&self) -> Intake {
        Intake::NONE
    }

    /// How many instances there are, for people.
    fn scope(&self) -> &'static str {
        "connection"
    }

    /// Starts one connection as a task of its own, and returns.
    fn launch(&self, upgraded: Upgraded, tasks: &TaskTracker);
}

/// Starts connections of an annotated type.
pub(super) struct AnnotatedLauncher<E: Handlers> {
    /// The instance that all connections of one server share, if they do.
    shared: Option<Shared<E>>,
    configurator: Configurator,
}

/// Connections take their share from under a lock: what is held need not be `Sync`.
type Shared<E> = Mutex<Held<E>>;

impl<E: Handlers + ServerDeclared> AnnotatedLauncher<E> {
    pub(super) fn new() -> Self {
        AnnotatedLauncher { shared: None, configurator: None }
    }

    fn create(
        context: &ApplicationContext,
        configurator: &Configurator,
        handshake: Option<&Handshake>,
    ) -> Result<Held<E>> {
        let mut instance = E::create(context)?;
        if let Some(configurator) = configurator {
            configurator.configure(handshake, &mut instance)?;
        }
        Ok(Held::new(instance))
    }
}

impl<E: Handlers + ServerDeclared> Launcher for AnnotatedLauncher<E> {
    fn needs(&self, place: Place) -> Vec<Need> {
        let mut needs = Needs::new(place);
        <E as ServerDeclared>::needs(&mut needs);
        <E as Handlers>::needs(&mut needs);
        needs.into_found()
    }

    fn prepare(&self, context: &ApplicationContext, configurator: Configurator) -> Result<Arc<dyn Launcher>> {
        let shared = if <E::Scope as Scope<E>>::SHARED {
            Some(Mutex::new(Self::create(context, &configurator, None)?))
        } else {
            None
        };
        Ok(Arc::new(Self { shared, configurator }))
    }

    fn configurator(&self) -> Configurator {
        E::configurator()
    }

    fn admit(&self, handshake: &Handshake) -> Result<(), Refusal> {
        E::admit(handshake)
    }

    fn intake(&self) -> Intake {
        E::INTAKE
    }

    fn scope(&self) -> &'static str {
        if <E::Scope as Scope<E>>::SHARED { "singleton" } else { "connection" }
    }

    fn launch(&self, upgraded: Upgraded, tasks: &TaskTracker) {
        let shared = self
            .shared
            .as_ref()
            .and_then(|shared| shared.lock().unwrap_or_else(PoisonError::into_inner).share());
        let configurator = self.configurator.clone();
        let make = move |session: &Session| match shared {
            Some(held) => Ok(Annotated(held)),
            None => {
                Self::create(session.application(), &configurator, Some(session.handshake())).map(Annotated)
            }
        };
        connection::spawn::<Annotated<E>>(make, upgraded, tasks);
    }
}

/// Starts connections of a programmatic endpoint.
pub(super) struct FactoryLauncher<F> {
    factory: Arc<F>,
    configurator: Configurator,
}

impl<F> FactoryLauncher<F> {
    pub(super) fn new(factory: F) -> Self {
        FactoryLauncher { factory: Arc::new(factory), configurator: None }
    }
}

impl<E: Endpoint, F: Fn() -> E + Send + Sync + 'static> Launcher for FactoryLauncher<F> {
    fn needs(&self, _: Place) -> Vec<Need> {
        Vec::new()
    }

    fn prepare(&self, _: &ApplicationContext, configurator: Configurator) -> Result<Arc<dyn Launcher>> {
        Ok(Arc::new(FactoryLauncher { factory: Arc::clone(&self.factory), configurator }))
    }

    fn admit(&self, _: &Handshake) -> Result<(), Refusal> {
        Ok(())
    }

    fn launch(&self, upgraded: Upgraded, tasks: &TaskTracker) {
        let (factory, configurator) = (Arc::clone(&self.factory), self.configurator.clone());
        let make = move |session: &Session| {
            let mut instance = factory();
            if let Some(configurator) = configurator {
                configurator.configure(Some(session.handshake()), &mut instance)?;
            }
            Ok(Programmatic(instance))
        };
        connection::spawn(make, upgraded, tasks);
    }
}
