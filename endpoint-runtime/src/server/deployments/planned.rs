//! [`Planned`]: one endpoint that was checked, by itself and beside others, before it is mounted.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Deployed, ServerEndpointConfig};
use crate::cluster::Cluster;
#[cfg(feature = "json")]
use crate::cluster::resume::Resumption;
use crate::context::{ApplicationContext, Need, Unmet};
use crate::endpoint::Reception;
use crate::error::{DeployError, Problem};
use crate::handshake::OriginRule;
use crate::path::Template;
use crate::session::{Extension, is_token};
use crate::settings::Settings;

/// One endpoint that was thought through.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) config: ServerEndpointConfig,
    /// `None` if it is malformed, which is a problem.
    pub(crate) template: Option<Template>,
    pub(crate) origins: OriginRule,
    pub(crate) reception: Reception,
}

impl Planned {
    /// What it asks the application for.
    pub(crate) fn needs(&self) -> Vec<Need> {
        self.config.launcher.needs(self.config.place())
    }
}

/// Checks one endpoint that is to be deployed beside others, and says what is wrong.
pub(super) fn planned_beside<'o>(
    config: ServerEndpointConfig,
    mut others: impl Iterator<Item = (&'o Template, &'o Arc<Deployed>)>,
    settings: &Settings,
    context: &ApplicationContext,
) -> Result<(Planned, Template), DeployError> {
    let mut problems = Vec::new();
    let planned = planned(config, settings, context, &mut problems);
    if let Some(template) = &planned.template {
        let form = template.normal_form();
        let other = others.find(|(other, _)| other.normal_form() == form);
        problems.extend(other.map(|(_, other)| conflict(&other.config, &planned.config)));
    }
    problems.extend(unruly(&planned.config, context));
    let mut unmet = Unmet::default();
    let (asker, needs) = (planned.config.type_name(), planned.needs());
    unmet.add(context, asker, &needs);
    unmet.add_unbuilt(context, asker, &needs);
    problems.extend(unmet.into_problems());
    match planned.template.clone() {
        Some(template) if problems.is_empty() => Ok((planned, template)),
        _ => Err(DeployError::new(problems)),
    }
}

/// Checks one endpoint by itself.
pub(crate) fn planned(
    config: ServerEndpointConfig,
    settings: &Settings,
    context: &ApplicationContext,
    problems: &mut Vec<Problem>,
) -> Planned {
    let mut problem = |text: String| {
        problems.push(
            Problem::new(format!("{} ({}): {text}", config.type_name(), config.place())).at(config.place()),
        );
    };
    let template = Template::parse(config.path()).map_err(|error| problem(error.to_string())).ok();
    let list = config.options.origins.as_deref().or(settings.origins.as_deref());
    let origins = OriginRule::new(list).unwrap_or_else(|invalid| {
        invalid.iter().for_each(|origin| problem(origin.to_string()));
        OriginRule::Same
    });
    let mut names = HashSet::new();
    for name in config.subprotocols() {
        if !is_token(name) {
            problem(format!(
                "`{name}` is not the name of a subprotocol: letters, digits and some signs, no spaces"
            ));
        } else if !names.insert(name) {
            problem(format!("the subprotocol `{name}` is listed twice"));
        }
    }
    if config.requires_subprotocol() && config.subprotocols().is_empty() {
        problem("`require_subprotocol` without any subprotocol: nobody could connect".to_owned());
    }
    if config.required_roles().iter().any(String::is_empty) {
        problem("`require` names a role without a name: nobody could be in it".to_owned());
    }
    config.extensions().iter().filter_map(Extension::fault).for_each(&mut problem);
    if config.options.max_message_size == Some(0) {
        problem("`max_message_size` is 0: no message could arrive".to_owned());
    }
    if config.options.send_buffer == Some(0) {
        problem("`send_buffer` is 0: no message could be queued".to_owned());
    }
    if config.options.resume.is_some() {
        unresumable(context).into_iter().for_each(&mut problem);
    }
    if config.options.resume == Some(Duration::ZERO) {
        problem("`resume` is no time at all: no session could be resumed".to_owned());
    }
    let reception = Reception::resolve(config.launcher.intake(), config.coders.clone());
    let reception = reception.unwrap_or_else(|problems| {
        problems.into_iter().for_each(problem);
        Reception::default()
    });
    Planned { config, template, origins, reception }
}

/// What is wrong with what an endpoint says of rooms, when others are there already.
fn unruly(config: &ServerEndpointConfig, context: &ApplicationContext) -> Vec<Problem> {
    let Some(rule) = config.rooms() else { return Vec::new() };
    match context.find::<Cluster>() {
        Some(cluster) => cluster.node().faults_of(&rule).into_iter().map(Problem::from).collect(),
        None => {
            let (name, place) = (config.type_name(), config.place());
            let text = format!(
                "{name} ({place}): `recover` and `presence` need an engine from the start of the server: say `.cluster(Local::new())`, or \
                 what holds for the rooms, by `.rooms(..)`"
            );
            vec![Problem::new(text).at(place)]
        }
    }
}

/// Why no session could be resumed here.
#[cfg(feature = "json")]
fn unresumable(context: &ApplicationContext) -> Option<String> {
    let engine = context.find::<Resumption>()?.unfit()?;
    Some(format!("`resume` needs an engine that keeps values for a while, which {engine} does not"))
}

/// Why no session could be resumed here.
#[cfg(not(feature = "json"))]
fn unresumable(_: &ApplicationContext) -> Option<String> {
    Some("`resume` needs the feature `json` of endpoint-runtime".to_owned())
}

/// What is wrong with two endpoints whose paths match the same requests.
pub(crate) fn conflict(other: &ServerEndpointConfig, config: &ServerEndpointConfig) -> Problem {
    let how =
        if other.path() == config.path() { "the same path" } else { "paths that match the same requests" };
    let text = format!(
        "{} ({}) and {} ({}) have {how}: `{}` and `{}`",
        other.type_name(),
        other.place(),
        config.type_name(),
        config.place(),
        other.path(),
        config.path(),
    );
    Problem::new(text).at(other.place()).at(config.place())
}
