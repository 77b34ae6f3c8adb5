//! Collecting and checking: what would be deployed, and everything that is wrong with it.

use std::any::TypeId;
use std::collections::HashSet;
use std::sync::Arc;

use super::{Registration, Report, ServerEndpointExporter};
#[cfg(feature = "json")]
use crate::cluster::resume::Resumption;
use crate::cluster::{Cluster, Engine, Local, Node, Rule, Rules};
#[cfg(feature = "json")]
use crate::context::Needs;
use crate::context::{ApplicationContext, ComponentConfig, Need, Unmet, Wanted};
#[cfg(feature = "json")]
use crate::error::Place;
use crate::error::{DeployError, Problem};
#[cfg(feature = "json")]
use crate::handshake::BearerTokens;
use crate::path::Router;
use crate::server::{Binding, Container, Listen, Planned, ServerEndpointConfig, conflict, planned};
use crate::session::Sessions;
use crate::settings::{Settings, address_fault};

/// A deployment that was thought through.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) endpoints: Vec<Planned>,
    /// Where to listen, and how what is written there reads.
    pub(super) listeners: Vec<(Binding, Listen)>,
    pub(super) container: Container,
    pub(super) context: ApplicationContext,
    /// What is needed beside what endpoints and components do.
    needs: Vec<Need>,
    problems: Vec<Problem>,
}

impl Plan {
    /// What is asked for by anything but components.
    pub(super) fn needs(&self) -> Vec<Need> {
        self.endpoints.iter().flat_map(Planned::needs).chain(self.needs.iter().copied()).collect()
    }

    /// What is set among the application's own settings by a slip, most likely, as lines of the log.
    pub(super) fn slips(&self) -> Vec<String> {
        let needs = self.needs().into_iter().chain(self.context.needs());
        let asked = needs.filter_map(|need| match need.wanted {
            Wanted::Value { key, .. } => Some(key),
            Wanted::One { .. } | Wanted::All(_) => None,
        });
        self.settings.values.slips(&asked.collect::<Vec<_>>())
    }

    pub(super) fn report(self) -> Report {
        let endpoints = self.endpoints.into_iter().map(|planned| planned.config).collect();
        Report { endpoints, problems: self.problems }
    }

    /// The plan, to be carried out here.
    pub(super) fn here(mut self) -> Self {
        if tokio::runtime::Handle::try_current().is_err() {
            self.problems.push(Problem::new(NO_RUNTIME));
        }
        self
    }

    /// The plan, with more problems.
    pub(super) fn with(mut self, problems: impl Iterator<Item = Problem>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// The plan, if nothing is wrong with it.
    pub(super) fn sound(self) -> Result<Self, DeployError> {
        if self.problems.is_empty() { Ok(self) } else { Err(DeployError::new(self.problems)) }
    }
}

impl ServerEndpointExporter {
    /// Thinks the deployment through, without starting anything.
    pub(super) fn plan(&self) -> Plan {
        let mut problems = Vec::new();
        let settings = self.merged_settings(&mut problems);
        let sessions = Sessions::new();
        let (all, selected) = self.collect(&settings);
        let (rules, faults) = Rules::new(self.said_of_rooms(&selected));
        let engine = self.engine.clone().or_else(|| in_process(&rules));
        let unable = engine.iter().flat_map(|engine| rules.unable(&**engine));
        let faults: Vec<_> = faults.into_iter().chain(unable).collect();
        let node = engine.map(|engine| Node::new(engine, rules, &sessions, &settings));
        let container = Container::of(sessions, node.map(Cluster::new));
        let context = self.context(&settings, &container);
        #[cfg(feature = "json")]
        problems.extend(self.carried.problems().into_iter().map(Problem::new));
        problems.extend(context.problems());
        #[cfg_attr(not(feature = "tls"), allow(unused_mut))]
        let mut listeners = listeners(&settings, &self.listens, &mut problems);
        #[cfg(feature = "tls")]
        self.encrypt(&settings, &mut listeners, &mut problems);
        let endpoints: Vec<_> =
            selected.into_iter().map(|config| planned(config, &settings, &context, &mut problems)).collect();
        conflicts(&endpoints, &mut problems);
        problems.extend(faults.into_iter().map(Problem::from));
        problems.extend(unmet(&endpoints, &context).into_problems());
        unreachable(&endpoints, &listeners, &mut problems);
        self.expectations(all, &endpoints, &mut problems);
        #[cfg(feature = "json")]
        let needs = self.publishing_needs(&context, &mut problems);
        #[cfg(not(feature = "json"))]
        let needs = Vec::new();
        Plan { settings, endpoints, listeners, container, context, needs, problems }
    }

    /// What the exporter and the endpoints say of rooms.
    fn said_of_rooms(&self, endpoints: &[ServerEndpointConfig]) -> Vec<Rule> {
        let own = self.rooms.iter().map(|(pattern, rooms, place)| Rule {
            pattern: pattern.clone(),
            rooms: *rooms,
            by: "`.rooms(..)`".to_owned(),
            place: *place,
        });
        own.chain(endpoints.iter().filter_map(ServerEndpointConfig::rooms)).collect()
    }

    /// The components, none of which is built: the exporter's, what annotations registered, and the runtime's own.
    fn context(&self, settings: &Settings, container: &Container) -> ApplicationContext {
        let mut components = self.components.clone();
        components.add(ComponentConfig::value(container.sessions().clone()));
        components.add(ComponentConfig::value(container.clone()));
        if let Some(cluster) = container.cluster() {
            components.add(ComponentConfig::value(cluster));
        }
        components.add(ComponentConfig::value(settings.clone()));
        #[cfg(feature = "json")]
        components.add(ComponentConfig::shared(self.resumption(settings, container), Place::caller()));
        if self.registered {
            components.add_registered();
        }
        let observers = self.observers.clone();
        ApplicationContext::new(components, settings, observers, container.sessions().node())
    }

    /// What resumes sessions: by the engine of the cluster, or by one that is for this server alone.
    #[cfg(feature = "json")]
    fn resumption(&self, settings: &Settings, container: &Container) -> Arc<Resumption> {
        let (carried, first_within) = (self.carried.clone(), settings.handshake_timeout);
        match container.cluster() {
            Some(cluster) => Resumption::of_node(cluster.node(), carried, first_within),
            None => Resumption::alone(carried, first_within),
        }
    }

    fn merged_settings(&self, problems: &mut Vec<Problem>) -> Settings {
        let mut settings = match &self.settings {
            Some(settings) => settings.clone(),
            None => Settings::load().unwrap_or_else(|error| {
                problems.extend(error.problems().iter().map(Problem::new));
                Settings::default()
            }),
        };
        self.changes.iter().for_each(|change| change(&mut settings));
        problems.extend(
            settings.problems().into_iter().map(|(key, text)| Problem::new(format!("`{key}`: {text}"))),
        );
        settings
    }

    /// What it takes to know who hands in messages.
    #[cfg(feature = "json")]
    fn publishing_needs(&self, context: &ApplicationContext, problems: &mut Vec<Problem>) -> Vec<Need> {
        let (mut all, mut unmet) = (Vec::new(), Unmet::default());
        for (place, publishing) in &self.publishing {
            let mut needs = Needs::new(*place);
            needs.asked_by("tokens", *place).component::<BearerTokens>();
            let needs = needs.into_found();
            unmet.add(context, "publishing", &needs);
            all.extend(needs);
            problems.extend(publishing.problems().map(|text| Problem::new(text).at(*place)));
        }
        problems.extend(unmet.into_problems());
        all
    }

    /// How many endpoints there are, and those that are selected, in a stable order: link order is none.
    fn collect(&self, settings: &Settings) -> (usize, Vec<ServerEndpointConfig>) {
        let mut seen: HashSet<TypeId> = self.explicit.iter().map(|config| config.type_id).collect();
        let mut registered = Vec::new();
        if self.registered {
            for registration in inventory::iter::<Registration> {
                // A module that both a library and a binary include is registered twice, but each is a type of its own.
                if seen.insert((registration.type_id)()) {
                    registered.push((registration.config)());
                }
            }
        }
        registered
            .sort_by(|a, b| (a.path(), a.type_name(), a.place()).cmp(&(b.path(), b.type_name(), b.place())));
        let mut all: Vec<ServerEndpointConfig> = Vec::new();
        for config in &self.explicit {
            if !all.iter().any(|other| other.is_same(config)) {
                all.push(config.clone());
            }
        }
        all.append(&mut registered);
        let count = all.len();
        all = all.into_iter().map(|config| config.under(&settings.prefix)).collect();
        all.retain(|config| self.only.iter().all(|select| select(config)));
        (count, all)
    }

    fn expectations(&self, all: usize, endpoints: &[Planned], problems: &mut Vec<Problem>) {
        let paths: Vec<&str> = endpoints.iter().map(|planned| planned.config.path()).collect();
        if endpoints.is_empty() && !self.allow_empty {
            problems.push(Problem::new(match all {
                0 => NOT_LINKED.to_owned(),
                _ => format!(
                    "none of the {all} endpoints passes `.only(..)`; say `.allow_empty()` if that is meant"
                ),
            }));
        }
        for expected in &self.expected {
            if !paths.contains(&expected.as_str()) {
                let found = if paths.is_empty() { "none".to_owned() } else { paths.join(", ") };
                problems.push(Problem::new(format!(
                    "no endpoint at the expected path `{expected}` (found: {found}). {UNNAMED_CRATE}"
                )));
            }
        }
    }
}

/// The engine of who has none and needs one.
fn in_process(rules: &Rules) -> Option<Arc<dyn Engine>> {
    (!rules.is_empty()).then(|| Arc::new(Local::new()) as Arc<dyn Engine>)
}

const NO_RUNTIME: &str = "there is no tokio runtime here: put `#[tokio::main]` on `async fn main`, or run this within `Runtime::block_on`";

const NOT_LINKED: &str = "there is no endpoint. A type is one if it has `#[server_endpoint(\"/path\")]` and a `#[handlers]` block. If it stands in \
     another crate: a crate that no code names is not linked, so write `use that_crate as _;` or `endpoint_runtime::link!(that_crate);` in the program. \
     A server without endpoints needs `.allow_empty()`";

const UNNAMED_CRATE: &str = "If it stands in another crate, that crate must be named in the program to be linked: `use that_crate as _;` or \
     `endpoint_runtime::link!(that_crate);`";

fn listeners(settings: &Settings, listens: &[Listen], problems: &mut Vec<Problem>) -> Vec<(Binding, Listen)> {
    let set: Vec<Listen> = match listens {
        // The settings' own check names what is wrong there.
        [] => settings.bind.iter().map(Listen::from).collect(),
        listens => listens.to_vec(),
    };
    let mut listeners = Vec::new();
    for listen in set {
        let (fault, binding) = (address_fault(&listen.address), Binding::parse(&listen.address));
        match (fault, binding) {
            (None, Ok(binding)) => listeners.push((binding, listen)),
            (Some(_), _) if listens.is_empty() => {}
            (Some(text), _) | (None, Err(text)) => problems.push(Problem::new(format!("`bind`: {text}"))),
        }
    }
    listeners
}

/// Endpoints that none of the listeners has.
fn unreachable(endpoints: &[Planned], listeners: &[(Binding, Listen)], problems: &mut Vec<Problem>) {
    let is_somewhere = |config: &ServerEndpointConfig| {
        listeners.is_empty() || listeners.iter().any(|(_, listen)| listen.admits(config))
    };
    for Planned { config, .. } in endpoints.iter().filter(|planned| !is_somewhere(&planned.config)) {
        let (name, place, path) = (config.type_name(), config.place(), config.path());
        let text = format!(
            "{name} ({place}): no listener admits `{path}`: nobody could connect. What is not to be served is left out by the exporter's own `.only(..)`"
        );
        problems.push(Problem::new(text).at(place));
    }
}

/// The same path twice, or templates that match the same paths.
fn conflicts(endpoints: &[Planned], problems: &mut Vec<Problem>) {
    let mut router: Router<&ServerEndpointConfig> = Router::new();
    for planned in endpoints {
        let (Some(template), config) = (&planned.template, &planned.config) else { continue };
        if let Err(other) = router.insert(template.clone(), config) {
            problems.push(conflict(other.value, config));
        }
    }
}

/// What endpoints and components need and nobody provides.
fn unmet(endpoints: &[Planned], context: &ApplicationContext) -> Unmet {
    let mut unmet = Unmet::default();
    for planned in endpoints {
        unmet.add(context, planned.config.type_name(), &planned.needs());
    }
    unmet.add_components(context);
    unmet
}
