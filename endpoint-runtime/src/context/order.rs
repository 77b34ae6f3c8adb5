//! What is built before what: the dependencies between components, and the circles in them.

use super::component::ComponentConfig;
use super::index::{Choice, Index};
use super::{ComponentPlace, How, Need, Wanted};

/// Something that a component needs to be built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dependency {
    pub(super) component: usize,
    /// Why.
    pub(super) need: Need,
}

/// What a component needs that is there. What is not is a problem of its own.
pub(super) fn dependencies(at: usize, configs: &[ComponentConfig], index: &Index) -> Vec<Dependency> {
    let mut found = Vec::new();
    for need in configs[at].all_needs() {
        let meant = meant(&need, configs, index).into_iter();
        // One of them that wants to have all of them does not mean itself.
        let meant = meant.filter(|&component| component != at || !matches!(need.wanted, Wanted::All(_)));
        found.extend(meant.map(|component| Dependency { component, need }));
    }
    found
}

/// The components that are to be built before somebody has what it needs.
pub(super) fn meant(need: &Need, configs: &[ComponentConfig], index: &Index) -> Vec<usize> {
    match need.wanted {
        Wanted::One { key, name, how: How::Required | How::Optional } => {
            match index.choose(configs, key.id, name) {
                Choice::One(one) => vec![one.component],
                Choice::None | Choice::Several => Vec::new(),
            }
        }
        Wanted::All(key) => index.all(key.id).iter().map(|one| one.component).collect(),
        Wanted::One { how: How::Lazily, .. } | Wanted::Value { .. } => Vec::new(),
    }
}

/// A walk through components, in which each comes after all that it needs.
pub(super) struct Walk<'a> {
    places: &'a [ComponentPlace],
    seen: Vec<Seen>,
    pub(super) order: Vec<usize>,
    /// Circles, each as the dependencies that lead from a component back to itself.
    pub(super) cycles: Vec<Vec<(usize, &'a Dependency)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    /// What it needs is looked at just now.
    Entered,
    Done,
}

impl<'a> Walk<'a> {
    pub(super) fn new(places: &'a [ComponentPlace]) -> Self {
        Walk { places, seen: vec![Seen::Never; places.len()], order: Vec::new(), cycles: Vec::new() }
    }

    /// Goes to a component and all that it needs.
    pub(super) fn visit(&mut self, start: usize) {
        if self.seen[start] != Seen::Never {
            return;
        }
        // No recursion: however long a chain of dependencies is, it does not end the program.
        let mut path: Vec<(usize, usize)> = Vec::new();
        self.enter(start, &mut path);
        while let Some((component, next)) = path.last_mut() {
            let (component, dependencies) = (*component, &self.places[*component].dependencies);
            let Some(dependency) = dependencies.get(*next) else {
                self.seen[component] = Seen::Done;
                self.order.push(component);
                path.pop();
                continue;
            };
            *next += 1;
            match self.seen[dependency.component] {
                Seen::Never => self.enter(dependency.component, &mut path),
                Seen::Entered => {
                    let begin = path.iter().position(|&(on_path, _)| on_path == dependency.component);
                    let circle = path[begin.unwrap_or(0)..].iter();
                    let steps = circle.map(|&(from, next)| (from, &self.places[from].dependencies[next - 1]));
                    self.cycles.push(steps.collect());
                }
                Seen::Done => {}
            }
        }
    }

    fn enter(&mut self, component: usize, path: &mut Vec<(usize, usize)>) {
        self.seen[component] = Seen::Entered;
        path.push((component, 0));
    }
}
