//! Mounting: a checked endpoint becomes one that connections can be made to.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::planned::{Planned, planned_beside};
use super::{Deployed, ServerEndpointConfig};
use crate::access::Roles;
use crate::cluster::Cluster;
use crate::context::ApplicationContext;
use crate::endpoint::AnyConfigurator;
use crate::error::{DeployError, Error, Panicked, Problem};
use crate::handshake::{BearerTokens, OriginRule, Terms};
use crate::message::Text;
use crate::path::Template;
use crate::session::{EndpointConfig, Home, Limits, Sessions};
use crate::settings::Settings;

/// Checks and mounts one endpoint while the server runs, beside what is deployed already.
///
/// # Errors
/// All problems. Nothing was changed.
pub(crate) fn mount_beside<'o>(
    config: ServerEndpointConfig,
    others: impl Iterator<Item = (&'o Template, &'o Arc<Deployed>)>,
    settings: &Settings,
    sessions: &Sessions,
    context: &ApplicationContext,
) -> Result<(Template, Deployed), DeployError> {
    let (planned, template) = planned_beside(config, others, settings, context)?;
    match mount(&planned, settings, sessions, context) {
        Ok(deployed) => {
            // What it says of rooms holds before anybody comes in.
            if let (Some(rule), Some(cluster)) = (planned.config.rooms(), context.find::<Cluster>()) {
                cluster.node().adopt(rule, context);
            }
            Ok((template, deployed))
        }
        Err(problem) => Err(DeployError::new(vec![problem])),
    }
}

/// Makes an endpoint's configurator, and its instance if all connections share one.
pub(crate) fn mount(
    planned: &Planned,
    settings: &Settings,
    sessions: &Sessions,
    context: &ApplicationContext,
) -> Result<Deployed, Problem> {
    let config = &planned.config;
    let prepare = || {
        let configurator = config.configurator.clone().or_else(|| config.launcher.configurator());
        let launcher = config.launcher.prepare(context, configurator.clone())?;
        Ok((configurator, launcher))
    };
    // It is the application's code that runs here, and other endpoints must not suffer from it.
    let prepared = catch_unwind(AssertUnwindSafe(prepare))
        .unwrap_or_else(|payload| Err(Error::Panicked(Panicked::from_payload(&*payload))));
    let (configurator, launcher) = prepared.map_err(|error: Error| {
        let (name, place) = (config.type_name(), config.place());
        Problem::new(format!("{name} ({place}) could not be made: {error}")).at(place)
    })?;
    let own: Option<Arc<dyn Any + Send + Sync>> = configurator.clone().map(AnyConfigurator::as_any);
    // Tokens of the endpoint's own are nobody else's to verify.
    let has_own_tokens = own.as_ref().is_some_and(|own| own.is::<BearerTokens>());
    let facts = EndpointConfig {
        path: config.path.clone(),
        type_id: config.type_id,
        type_name: config.type_name,
        full_name: config.full_name,
        subprotocols: config.subprotocols().iter().map(|name| Text::from(name.as_str())).collect(),
        extensions: config.extensions.clone(),
        roles: Roles::new(config.required_roles().to_vec()),
        limits: Limits::from(settings).overridden(&config.options),
        configurator: own,
    };
    Ok(Deployed {
        home: Arc::new(Home::new(facts, planned.reception.clone(), sessions.clone(), context.clone())),
        terms: Terms {
            origins: planned.origins.clone(),
            require_subprotocol: config.requires_subprotocol(),
            attributes: config.attributes.clone(),
            bearer: if has_own_tokens { None } else { context.find() },
            configurator,
        },
        launcher,
        #[cfg(feature = "json")]
        resumption: config.is_continued().then(|| context.find()).flatten(),
        config: config.clone(),
    })
}

/// One line for each endpoint.
pub(crate) fn announce(deployed: &Deployed) {
    let (config, origins) = (&deployed.config, &deployed.terms.origins);
    let roles = config.required_roles();
    let roles = (!roles.is_empty()).then(|| roles.join(" or "));
    tracing::info!(
        path = config.path(),
        endpoint = config.type_name(),
        package = config.package,
        subprotocols = ?config.subprotocols(),
        scope = config.launcher.scope(),
        require = roles,
        %origins,
        place = %config.place(),
        "endpoint"
    );
    if *origins == OriginRule::Any {
        tracing::warn!(path = config.path(), "any web page may connect here, with its visitors' cookies");
    }
}
