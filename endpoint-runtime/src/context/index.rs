//! [`Index`]: which component is meant by a type and a name.

use std::any::TypeId;
use std::collections::HashMap;

use super::component::{ComponentConfig, Origin};

/// All components by what they are found as.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<TypeId, Vec<Candidate>>);

/// A component, as one of the things that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its place among all.
    pub(super) component: usize,
    /// Which of its views: 0 is its own type.
    pub(super) view: usize,
}

/// What an index says when one component is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    None,
    One(Candidate),
    Several,
}

impl Index {
    pub(super) fn new(components: &[ComponentConfig]) -> Self {
        let mut index: HashMap<TypeId, Vec<Candidate>> = HashMap::with_capacity(components.len());
        for (component, config) in components.iter().enumerate() {
            let views = config.views.iter().map(|view| view.key.id);
            for (view, key) in std::iter::once(config.key.id).chain(views).enumerate() {
                index.entry(key).or_default().push(Candidate { component, view });
            }
        }
        Index(index)
    }

    /// All that are found as this, in the order of the components.
    pub(super) fn all(&self, key: TypeId) -> &[Candidate] {
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The one that is meant.
    pub(super) fn choose(&self, components: &[ComponentConfig], key: TypeId, name: Option<&str>) -> Choice {
        let mut meant = self.meant(components, key, name);
        match (meant.next(), meant.next()) {
            (None, _) => Choice::None,
            (Some(one), None) => Choice::One(one),
            (Some(_), Some(_)) => Choice::Several,
        }
    }

    /// Those that are meant. By their name, if one is given; without one, those that have none, or all if all have names. What the exporter
    /// was given goes before what annotations registered.
    pub(super) fn meant<'a>(
        &'a self,
        components: &'a [ComponentConfig],
        key: TypeId,
        name: Option<&'a str>,
    ) -> impl Iterator<Item = Candidate> + 'a {
        let all = self.all(key);
        let config = |candidate: &Candidate| &components[candidate.component];
        let is_there = all.iter().any(|one| config(one).name() == name);
        let fits = move |one: &Candidate| {
            if is_there { config(one).name() == name } else { name.is_none() }
        };
        let given = all.iter().any(|one| fits(one) && config(one).origin == Origin::Given);
        let goes_before = move |one: &Candidate| !given || config(one).origin == Origin::Given;
        all.iter().copied().filter(move |one| fits(one) && goes_before(one))
    }
}
