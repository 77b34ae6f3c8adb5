//! Starting: from a sound plan to open listeners.

use std::sync::Arc;

use super::check::Plan;
use super::mount::{announce, mount as mount_one};
use super::{DeployError, Problem, ServerEndpointExporter};
use crate::error::Result;
use crate::path::Router;
use crate::server::{Door, Listener, Mounted, Server, endpoints};

/// Checks, mounts and binds; all or nothing.
pub(super) async fn start(exporter: ServerEndpointExporter) -> Result<Server> {
    let plan = exporter.plan().sound()?;
    serve(exporter, plan).await
}

/// The same without any listener: for connections in memory.
#[cfg(feature = "test")]
pub(super) async fn start_in_memory(exporter: ServerEndpointExporter) -> Result<Server> {
    let mut plan = exporter.plan().sound()?;
    plan.listeners.clear();
    serve(exporter, plan).await
}

/// The same without any listener: for the connections of another server.
pub(super) async fn mount(exporter: ServerEndpointExporter) -> Result<Mounted> {
    let mut plan = exporter.plan().sound()?;
    let misplaced = [
        (!exporter.listens.is_empty(), "addresses (`.bind(..)`): it is the other server that listens"),
        (exporter.fallback.is_some(), "fallback (`.fallback(..)`): that is a route of the other server"),
        (
            !exporter.layers.is_empty(),
            "layers (`.layer(..)`): they go around the service, or the other's routes",
        ),
    ];
    let misplaced = misplaced.iter().filter(|(is_there, _)| *is_there);
    let misplaced: Vec<_> = misplaced
        .map(|(_, what)| Problem::new(format!("what is mounted in another server has no {what}")))
        .collect();
    if !misplaced.is_empty() {
        return Err(DeployError::new(misplaced).into());
    }
    plan.listeners.clear();
    serve(exporter, plan).await.map(Mounted::new)
}

async fn serve(exporter: ServerEndpointExporter, plan: Plan) -> Result<Server> {
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
    let door = Door::new(router, exporter.fallback, layered, plan.settings, plan.container, plan.context);
    let server = Server::open(door, listeners);
    for address in server.addresses() {
        tracing::info!(%address, "listening");
    }
    exporter.ready.into_iter().for_each(|act| act(&server));
    Ok(server)
}
