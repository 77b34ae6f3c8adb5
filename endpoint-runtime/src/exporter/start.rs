//! Starting: from a sound plan to open listeners.

use std::sync::Arc;

use super::check::{Plan, Planned};
use super::{DeployError, Launcher, Problem, ServerEndpointExporter};
use crate::error::Result;
use crate::handshake::OriginRule;
use crate::message::Text;
use crate::path::Router;
use crate::server::{Deployed, Door, Listener, Server, endpoints};
use crate::session::{Counts, Home, Limits};

/// Checks, mounts and binds; all or nothing.
pub(super) async fn start(exporter: ServerEndpointExporter) -> Result<Server> {
    let plan = exporter.plan().sound()?;
    serve(exporter, plan).await
}

/// The same without any listener: for connections in memory.
#[cfg(feature = "test")]
pub(super) async fn start_in_memory(exporter: ServerEndpointExporter) -> Result<Server> {
    let mut plan = exporter.plan().sound()?;
    plan.bindings.clear();
    serve(exporter, plan).await
}

async fn serve(exporter: ServerEndpointExporter, plan: Plan) -> Result<Server> {
    let mut router = Router::new();
    for planned in &plan.endpoints {
        let Some(template) = planned.template.clone() else { continue };
        let launcher = planned.config.launcher.prepare(&plan.context)?;
        // Conflicts were problems of the plan.
        let _ = router.insert(template, Arc::new(deployed(planned, launcher, &plan)));
    }
    let mut listeners = Vec::new();
    let mut problems = Vec::new();
    for binding in &plan.bindings {
        match Listener::bind(binding).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => problems.push(Problem::new(format!("cannot listen on {binding}: {error}"))),
        }
    }
    if !problems.is_empty() {
        return Err(DeployError::new(problems).into());
    }
    plan.endpoints.iter().for_each(announce);
    let layered = match exporter.layers {
        layers if layers.is_empty() => None,
        layers => Some(layers.into_iter().fold(endpoints(), |inner, layer| layer(inner))),
    };
    let door = Door::new(router, exporter.fallback, layered, plan.settings, plan.sessions);
    let server = Server::open(door, listeners);
    for address in server.addresses() {
        tracing::info!(%address, "listening");
    }
    exporter.ready.into_iter().for_each(|act| act(&server));
    Ok(server)
}

fn deployed(planned: &Planned, launcher: Arc<dyn Launcher>, plan: &Plan) -> Deployed {
    let (config, options) = (&planned.config, &planned.config.options);
    let home = Home {
        path: config.path.clone(),
        type_id: config.type_id,
        type_name: config.type_name,
        limits: Limits::from(&plan.settings).overridden(options),
        sessions: plan.sessions.clone(),
        application: plan.context.clone(),
        counts: Counts::default(),
    };
    Deployed {
        home: Arc::new(home),
        origins: planned.origins.clone(),
        subprotocols: options.subprotocols.iter().map(|name| Text::from(name.as_str())).collect(),
        launcher,
    }
}

/// One line for each endpoint.
fn announce(planned: &Planned) {
    let config = &planned.config;
    tracing::info!(
        path = config.path(),
        endpoint = config.type_name(),
        package = config.package,
        subprotocols = ?config.subprotocols(),
        scope = config.launcher.scope(),
        origins = %planned.origins,
        place = %config.place(),
        "endpoint"
    );
    if planned.origins == OriginRule::Any {
        tracing::warn!(path = config.path(), "any web page may connect here, with its visitors' cookies");
    }
}
