//! Starting: from a sound plan to open listeners.

use std::sync::Arc;

use super::check::Plan;
use super::mount::{announce, mount};
use super::{DeployError, Problem, ServerEndpointExporter};
use crate::error::Result;
use crate::path::Router;
use crate::server::{Door, Listener, Server, endpoints};

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

async fn serve(exporter: ServerEndpointExporter, plan: Plan) -> Result<Server> {
    let mut router = Router::new();
    let mut problems = Vec::new();
    for planned in &plan.endpoints {
        let Some(template) = planned.template.clone() else { continue };
        match mount(planned, &plan.settings, plan.container.sessions(), &plan.context) {
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
        match Listener::bind(binding, listen.rules(&plan.settings)).await {
            Ok(listener) => listeners.push(listener),
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
