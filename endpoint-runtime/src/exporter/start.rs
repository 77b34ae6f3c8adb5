//! Starting: from a sound plan to open listeners.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};

use super::check::Plan;
use super::{Hook, Ready, ServerEndpointExporter};
use crate::cluster::Cluster;
use crate::context::{ApplicationContext, ApplicationEvent, Undo};
use crate::error::{DeployError, Panicked, Place, Problem, Result};
use crate::path::Router;
use crate::server::{Door, Listener, Mounted, Server, announce, endpoints, mount as mount_one};
use crate::session::Current;

/// Checks, builds, mounts and binds; all or nothing.
pub(super) async fn start(exporter: ServerEndpointExporter) -> Result<Server> {
    let plan = exporter.plan().here().sound()?;
    unstopped(exporter, plan).await
}

/// The same, unless it is to stop before it is done: then what was begun is undone.
pub(super) async fn start_until(
    exporter: ServerEndpointExporter,
    stop: impl Future<Output = ()>,
) -> Result<Option<Server>> {
    let plan = exporter.plan().here().sound()?;
    match serve(exporter, plan, stop).await? {
        Either::Left(server) => Ok(Some(server)),
        Either::Right(()) => Ok(None),
    }
}

/// The same without any listener: for connections in memory.
#[cfg(feature = "test")]
pub(super) async fn start_in_memory(exporter: ServerEndpointExporter) -> Result<Server> {
    let mut plan = exporter.plan().here().sound()?;
    plan.listeners.clear();
    unstopped(exporter, plan).await
}

/// The same without any listener: for the connections of another server.
pub(super) async fn mount(exporter: ServerEndpointExporter) -> Result<Mounted> {
    let plan = exporter.plan().here();
    #[cfg(feature = "tls")]
    let encrypts = exporter.tls.is_some();
    #[cfg(not(feature = "tls"))]
    let encrypts = false;
    let misplaced = [
        (!exporter.listens.is_empty(), "addresses (`.bind(..)`): it is the other server that listens"),
        (
            encrypts,
            "certificate (`.tls(..)`): say `.secure()` of the service where the other server speaks TLS",
        ),
        (exporter.fallback.is_some(), "fallback (`.fallback(..)`): that is a route of the other server"),
        (
            !exporter.layers.is_empty(),
            "layers (`.layer(..)`): they go around the service, or the other's routes",
        ),
    ];
    #[cfg(feature = "json")]
    let misplaced = [
        &misplaced[..],
        &[(
            !exporter.publishing.is_empty(),
            "address for messages (`.publishing(..)`): that is a route of the other server",
        )],
    ]
    .concat();
    let misplaced = misplaced.iter().filter(|(is_there, _)| *is_there);
    let misplaced =
        misplaced.map(|(_, what)| Problem::new(format!("what is mounted in another server has no {what}")));
    let mut plan = plan.with(misplaced).sound()?;
    plan.listeners.clear();
    unstopped(exporter, plan).await.map(Mounted::new)
}

async fn unstopped(exporter: ServerEndpointExporter, plan: Plan) -> Result<Server> {
    match serve(exporter, plan, pending::<Infallible>()).await? {
        Either::Left(server) => Ok(server),
        Either::Right(never) => match never {},
    }
}

/// Starts the server; or destroys what was built, if anything goes wrong after that, or somebody wants it to stop.
async fn serve<S>(
    exporter: ServerEndpointExporter,
    plan: Plan,
    stop: impl Future<Output = S>,
) -> Result<Either<Server, S>> {
    let context = plan.context.clone();
    let cluster = plan.container.cluster();
    let undo = Undo::new(&context);
    // The components' code runs in the name of this server, from the first that is built to the last that is destroyed.
    let current = Current::announce(plan.container.sessions(), &context);
    let prepared = {
        let preparing = pin!(prepare(exporter, plan));
        match select(preparing, pin!(stop)).await {
            Either::Left((prepared, _)) => prepared.map(Either::Left),
            Either::Right((stopped, _)) => Ok(Either::Right(stopped)),
        }
    };
    match prepared {
        Ok(Either::Left(prepared)) => {
            undo.not_needed();
            Ok(Either::Left(open(prepared, &context, current).await?))
        }
        Ok(Either::Right(stopped)) => {
            tracing::info!("asked to stop before the server had started");
            undo.now().await;
            leave(cluster).await;
            Ok(Either::Right(stopped))
        }
        Err(error) => {
            undo.now().await;
            leave(cluster).await;
            Err(error)
        }
    }
}

/// All that a server is made of.
struct Prepared {
    door: Door,
    listeners: Vec<Listener>,
    ready: Vec<Ready>,
}

async fn prepare(exporter: ServerEndpointExporter, plan: Plan) -> Result<Prepared> {
    plan.slips().iter().for_each(|slip| tracing::warn!("{slip}"));
    if let Some(cluster) = plan.container.cluster() {
        join(&cluster, &plan.context).await?;
    }
    raise(exporter.hooks, &plan).await?;
    let mut router = Router::new();
    let mut problems = Vec::new();
    for planned in &plan.endpoints {
        let Some(template) = planned.template.clone() else { continue };
        match mount_one(planned, &plan.settings, plan.container.sessions(), &plan.context) {
            // Conflicts were problems of the plan.
            Ok(deployed) => drop(router.insert(template, Arc::new(deployed))),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(DeployError::new(problems).into());
    }
    let mut listeners = Vec::new();
    for (binding, listen) in &plan.listeners {
        match Listener::bind(binding, listen, &plan.settings).await {
            Ok(bound) => listeners.extend(bound),
            Err(error) => problems.push(Problem::new(format!("cannot listen on {binding}: {error}"))),
        }
    }
    if !problems.is_empty() {
        return Err(DeployError::new(problems).into());
    }
    router.iter().for_each(|(_, deployed)| announce(deployed));
    let layered = match exporter.layers {
        layers if layers.is_empty() => None,
        layers => Some(layers.into_iter().fold(endpoints(), |inner, layer| layer(inner))),
    };
    let fallback = exporter.fallback;
    #[cfg(feature = "json")]
    let fallback = exporter.publishing.into_iter().fold(fallback, |fallback, (_, publishing)| {
        Some(publishing.before(fallback, plan.container.sessions().clone(), &plan.context, &plan.settings))
    });
    let door = Door::new(router, fallback, layered, plan.settings, plan.container, plan.context);
    Ok(Prepared { door, listeners, ready: exporter.ready })
}

/// Becomes a node of the cluster: components may use it.
async fn join(cluster: &Cluster, context: &ApplicationContext) -> Result<(), DeployError> {
    let node = cluster.node();
    node.start(context).await.map_err(|error| {
        let text = format!(
            "the engine of the cluster, {}, cannot be started: {error}. Its server must run, and be reached from here",
            node.engine_name()
        );
        DeployError::new(vec![Problem::new(text)])
    })
}

async fn leave(cluster: Option<Cluster>) {
    if let Some(cluster) = cluster {
        cluster.node().stop().await;
    }
}

/// Builds the components and tells them, and has the application do what it wants to do then.
async fn raise(hooks: Vec<(Place, Hook)>, plan: &Plan) -> Result<(), DeployError> {
    let (context, alone) = (&plan.context, |problem| DeployError::new(vec![problem]));
    context.build(&plan.needs()).await.map_err(alone)?;
    for (place, hook) in hooks {
        let text = match context.run(|| hook(context.within())).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(panicked) => format!("it panicked: {}", panicked.message()),
        };
        let problem = Problem::new(format!("what is done before listening ({place}) failed: {text}"));
        return Err(alone(problem.at(place)));
    }
    Ok(())
}

/// Lets the first connection in.
async fn open(prepared: Prepared, context: &ApplicationContext, current: Current) -> Result<Server> {
    let Prepared { door, listeners, ready } = prepared;
    if context.is_observed() {
        let addresses = listeners.iter().map(|listener| listener.address().clone()).collect();
        context.publish(&ApplicationEvent::ContextReady { context: context.within(), addresses });
    }
    let server = Server::open(door, listeners, current);
    for address in server.addresses() {
        tracing::info!(%address, "listening");
    }
    let told = catch_unwind(AssertUnwindSafe(|| ready.into_iter().for_each(|act| act(&server))));
    let Err(payload) = told else { return Ok(server) };
    // Whoever could have stopped it does not get it.
    server.shutdown().await;
    let panicked = Panicked::from_payload(&*payload);
    let problem =
        Problem::new(format!("what is done when the server is ready panicked: {}", panicked.message()));
    Err(DeployError::new(vec![problem]).into())
}
