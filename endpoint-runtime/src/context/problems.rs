//! What is wrong with the components of an application, in words.

use std::collections::{BTreeMap, HashMap};

use super::component::ComponentConfig;
use super::index::Choice;
use super::order::Dependency;
use super::{ApplicationContext, How, Inner, Key, Need, Wanted, ended, order};
use crate::error::{Error, Place, Problem};

/// What was asked for and is not there, by where it was asked for: each once, however often it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Unmet(BTreeMap<(Place, String), Problem>);

impl Unmet {
    /// Adds what a context does not have of what somebody needs.
    pub(crate) fn add(&mut self, context: &ApplicationContext, asker: &str, needs: &[Need]) {
        let Some(inner) = context.inner() else { return };
        for need in needs {
            let Err(text) = inner.meet(need) else { continue };
            let dot = if need.asked_by.is_empty() { "" } else { "." };
            let text = format!("{asker}{dot}{} ({}) {text}", need.asked_by, need.place);
            let problem = Problem::new(text.clone()).at(need.place);
            self.0.entry((need.place, text)).or_insert(problem);
        }
    }

    /// Adds what somebody who comes late needs and would not find: lazy components that are not built. Nobody waits for them there.
    pub(crate) fn add_unbuilt(&mut self, context: &ApplicationContext, asker: &str, needs: &[Need]) {
        let Some(inner) = context.inner() else { return };
        for need in needs.iter().filter(|need| matches!(need.wanted, Wanted::One { .. })) {
            for at in order::meant(need, &inner.configs, &inner.index) {
                if inner.places[at].built.initialized() {
                    continue;
                }
                let (dot, config) = (if need.asked_by.is_empty() { "" } else { "." }, &inner.configs[at]);
                let text = format!(
                    "{asker}{dot}{} ({}) needs the component {config}, which is lazy and not built yet: \
                     take a `Lazy<T>`, or use one of it before",
                    need.asked_by, need.place
                );
                let problem = Problem::new(text.clone()).at(need.place);
                self.0.entry((need.place, text)).or_insert(problem);
            }
        }
    }

    /// Adds what its own components need.
    pub(crate) fn add_components(&mut self, context: &ApplicationContext) {
        let Some(inner) = context.inner() else { return };
        for config in &inner.configs {
            self.add(context, config.type_name(), &config.all_needs());
        }
    }

    pub(crate) fn into_problems(self) -> impl Iterator<Item = Problem> {
        self.0.into_values()
    }
}

impl ApplicationContext {
    /// What is wrong with its components, beside what they need and do not get.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let Some(inner) = self.inner() else { return Vec::new() };
        let mut problems = inner.repeated();
        for config in &inner.configs {
            problems.extend(config.mistaken().iter().map(|other| {
                let text = format!("the component {config} is not a `{other}`, as its configuration says");
                Problem::new(text).at(config.place())
            }));
        }
        problems.extend(inner.circles());
        problems
    }

    /// What its components need.
    pub(crate) fn needs(&self) -> Vec<Need> {
        let Some(inner) = self.inner() else { return Vec::new() };
        inner.configs.iter().flat_map(ComponentConfig::all_needs).collect()
    }

    /// Why one does not find what one asks for.
    pub(super) fn why_not(&self, key: Key, name: Option<&str>) -> Error {
        let Some(inner) = self.inner() else { return ended() };
        let wanted = called(key.type_name, name);
        Error::msg(match inner.choose(key, name) {
            Choice::One(one) => {
                let config = &inner.configs[one.component];
                format!(
                    "the component {config} is not built yet: `lazy::<T>().get().await` builds it, and a need of it is built before"
                )
            }
            Choice::Several => format!("there are several components {wanted}: {}", inner.list(key, name)),
            Choice::None => format!("no component {wanted} was provided"),
        })
    }
}

impl Inner {
    /// The names of the types of all components, sorted.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.configs.iter().map(|config| config.key.type_name).collect();
        names.sort_unstable();
        names
    }

    /// What is missing, if anything is: the rest of a sentence.
    fn meet(&self, need: &Need) -> Result<(), String> {
        let (key, name, how) = match need.wanted {
            Wanted::One { key, name, how } => (key, name, how),
            Wanted::All(_) => return Ok(()),
            Wanted::Value { key, check } => {
                return check(&self.values, key).map_err(|error| format!("needs a setting: {error}"));
            }
        };
        let wanted = called(key.type_name, name);
        match self.choose(key, name) {
            Choice::One(_) => Ok(()),
            Choice::None if how == How::Optional => Ok(()),
            Choice::None if self.inherits(need) => Ok(()),
            Choice::None => Err(format!(
                "needs the component {wanted}, and nobody provides it: {}{}",
                remedy(key, name),
                self.near_miss(key)
            )),
            Choice::Several if self.are_repeated(key, name) => Ok(()),
            Choice::Several => Err(format!(
                "needs one component {wanted}, and there are several: {}. {}",
                self.list(key, name),
                self.how_to_tell(key, name)
            )),
        }
    }

    /// What to do about several that fit.
    fn how_to_tell(&self, key: Key, name: Option<&str>) -> &'static str {
        let mut meant = self.index.meant(&self.configs, key.id, name);
        match name {
            Some(_) => "Each needs a name of its own",
            None if meant.all(|one| self.configs[one.component].name().is_some()) => {
                "Say which: `#[inject(\"name\")]`"
            }
            None => "Give them names, and say which: `#[inject(\"name\")]`",
        }
    }

    /// Whether they are one component that was provided more than once, which is said anyway.
    fn are_repeated(&self, key: Key, name: Option<&str>) -> bool {
        let meant = self.index.meant(&self.configs, key.id, name);
        let mut names = meant.map(|one| {
            let config = &self.configs[one.component];
            (one.view == 0 && config.is_sized).then(|| config.name())
        });
        let first = names.next().flatten();
        first.is_some_and(|first| names.all(|name| name == Some(first)))
    }

    fn inherits(&self, need: &Need) -> bool {
        let parent = self.parent.as_ref().and_then(ApplicationContext::inner);
        parent.is_some_and(|parent| parent.meet(need).is_ok())
    }

    /// Those that are meant by a type and a name.
    fn list(&self, key: Key, name: Option<&str>) -> String {
        let meant = self.index.meant(&self.configs, key.id, name);
        let meant: Vec<_> = meant.map(|one| self.configs[one.component].to_string()).collect();
        meant.join(", ")
    }

    /// What there is instead, perhaps.
    fn near_miss(&self, wanted: Key) -> String {
        let of_type: Vec<_> =
            self.index.all(wanted.id).iter().map(|one| &self.configs[one.component]).collect();
        if !of_type.is_empty() {
            let names: Vec<_> = of_type.iter().map(ToString::to_string).collect();
            let are = if names.len() == 1 { "is" } else { "are" };
            return format!(". Of this type there {are} {}", names.join(", "));
        }
        let Some(near) = self.nearest(wanted.type_name) else { return String::new() };
        let (type_name, is_annotated) = (near.key.type_name, near.is_annotated());
        match wanted.type_name.strip_prefix("dyn ") {
            Some(name) if is_annotated => {
                format!(". `{type_name}` is one; as the trait: `#[component(as = [dyn {name}])]`")
            }
            Some(name) => {
                format!(
                    ". `{type_name}` is provided; as the trait: `.provide_shared::<dyn {name}>(Arc::new(..))`"
                )
            }
            None if type_name.contains("Arc<") => {
                format!(". `{type_name}` is provided; an `Arc` goes to `.provide_shared(..)`")
            }
            None => format!(". `{type_name}` is provided: is that the type that was meant?"),
        }
    }

    /// The component whose type is called most like it.
    fn nearest(&self, type_name: &str) -> Option<&ComponentConfig> {
        let wanted = last_word(type_name);
        let near = self.configs.iter().filter(|config| {
            let name = last_word(config.key.type_name);
            name.contains(&wanted) || wanted.contains(&name)
        });
        near.min_by_key(|config| config.key.type_name)
    }

    /// Types that were provided more than once, with one name or none. Of a trait there may be several.
    fn repeated(&self) -> Vec<Problem> {
        let mut places: HashMap<_, Vec<&ComponentConfig>> = HashMap::new();
        for config in self.configs.iter().filter(|config| config.is_sized) {
            places.entry((config.identity(), config.origin)).or_default().push(config);
        }
        let repeated = self.configs.iter().filter_map(|config| {
            let all = places.remove(&(config.identity(), config.origin))?;
            (all.len() > 1).then_some(all)
        });
        let problem = |all: Vec<&ComponentConfig>| {
            let places: Vec<_> = all.iter().map(|config| config.place().to_string()).collect();
            let text = format!(
                "the component {} was provided more than once ({}): name them, so that they can be told apart",
                called(all[0].key.type_name, all[0].name()),
                places.join(", ")
            );
            all.iter().fold(Problem::new(text), |problem, config| problem.at(config.place()))
        };
        repeated.map(problem).collect()
    }

    /// Components that need each other.
    fn circles(&self) -> Vec<Problem> {
        let mut walk = self.walk();
        (0..self.configs.len()).for_each(|at| walk.visit(at));
        walk.cycles.iter().map(|circle| self.circle(circle)).collect()
    }

    fn circle(&self, circle: &[(usize, &Dependency)]) -> Problem {
        let name = |at: usize| called_shortly(&self.configs[at]);
        let path =
            circle.iter().map(|&(from, _)| name(from)).chain(circle.first().map(|&(from, _)| name(from)));
        let steps = circle.iter().map(|&(from, dependency)| {
            let need = &dependency.need;
            let dot = if need.asked_by.is_empty() { "" } else { "." };
            format!("{}{dot}{} ({})", name(from), need.asked_by, need.place)
        });
        let text = format!(
            "components need each other in a circle: {} ({}). One of them can take a `Lazy<T>` instead, which is built when it is used",
            path.collect::<Vec<_>>().join(" -> "),
            steps.collect::<Vec<_>>().join(", ")
        );
        circle.iter().fold(Problem::new(text), |problem, (_, dependency)| problem.at(dependency.need.place))
    }

    /// Components that would wait for each other while they are built; `path` leads to the one that asks.
    pub(super) fn waiting_circle(&self, asking: usize, path: &[usize]) -> Problem {
        let names =
            std::iter::once(asking).chain(path.iter().copied()).map(|at| called_shortly(&self.configs[at]));
        let text = format!(
            "components need each other while they are built: {}. A `Lazy<T>` is to be used later than that",
            names.collect::<Vec<_>>().join(" -> ")
        );
        Problem::new(text).at(self.configs[asking].place())
    }
}

/// A component as it is asked for: its type, and its name if it has one.
pub(super) fn called(type_name: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("`{type_name}` named \"{name}\""),
        None => format!("`{type_name}`"),
    }
}

/// A component within a path.
fn called_shortly(config: &ComponentConfig) -> String {
    match config.name() {
        Some(name) => format!("{} \"{name}\"", config.type_name()),
        None => config.type_name().to_owned(),
    }
}

/// How one provides what is missing.
fn remedy(key: Key, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("say `.provide_named(\"{name}\", ..)`, or `#[component(name = \"{name}\")]`"),
        None if key.type_name.starts_with("dyn ") => {
            let name = key.type_name;
            format!("say `.provide_shared::<{name}>(..)`, or `#[component(as = [{name}])]`")
        }
        None => match ASKED_FOR.iter().find(|(type_name, _)| *type_name == key.type_name) {
            Some((_, remedy)) => (*remedy).to_owned(),
            None => "say `.provide(..)`, or declare it with `#[component]`".to_owned(),
        },
    }
}

/// What the runtime itself provides where it is asked to, and how one asks.
const ASKED_FOR: [(&str, &str); 1] = [(
    "endpoint_runtime::cluster::handle::Cluster",
    "say `.cluster(Local::new())` for one process, or `.cluster(Redis::connect(\"redis://localhost:6379\").await?)` for several; an \
     `Option<Cluster>` is `None` without it",
)];

/// The last word of a type's name, which is what people see in it.
fn last_word(type_name: &str) -> String {
    let name = type_name.trim_end_matches('>');
    name.rsplit([':', '<', ' ']).next().unwrap_or(name).to_ascii_lowercase()
}
