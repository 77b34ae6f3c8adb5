//! All deployed templates, and the one that a request path means.

use std::collections::HashMap;
use std::sync::Arc;

use super::grammar::{self, Segment};
use super::params::{BadEncoding, PathParams};
use super::template::Template;

/// All deployed templates, each with what is deployed there.
///
/// A tree with one level per segment, and beside it a table of the paths that have no variables.
#[derive(Debug)]
pub(crate) struct Router<T> {
    deployed: Vec<(Arc<Template>, T)>,
    /// Index into `deployed` by the whole path as it was declared: most requests are answered here.
    exact: HashMap<String, usize>,
    root: Node,
}

/// The requests for which a template matches, and what its variables hold.
#[derive(Debug)]
pub(crate) struct Match<'r, T> {
    pub(crate) value: &'r T,
    pub(crate) params: Result<PathParams, BadEncoding>,
}

/// What stands already where a template was to go, under the same or an equivalent template.
#[derive(Debug)]
pub(crate) struct Conflict<'r, T> {
    pub(crate) value: &'r T,
}

impl<T> Router<T> {
    pub(crate) fn new() -> Self {
        Self { deployed: Vec::new(), exact: HashMap::new(), root: Node::default() }
    }

    /// Deploys a value. On a conflict nothing is changed.
    pub(crate) fn insert(&mut self, template: Template, value: T) -> Result<(), Conflict<'_, T>> {
        let place = self.root.place(template.segments());
        if let Some(index) = *place {
            let (_, value) = &self.deployed[index];
            return Err(Conflict { value });
        }
        let index = self.deployed.len();
        *place = Some(index);
        if template.is_literal() {
            self.exact.insert(template.as_str().to_owned(), index);
        }
        self.deployed.push((Arc::new(template), value));
        Ok(())
    }

    /// Everything that is deployed, in the order in which it was.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Template, &T)> {
        self.deployed.iter().map(|(template, value)| (&**template, value))
    }

    /// Finds what is deployed for the path of a request, which is raw: not decoded, and without its query.
    ///
    /// Of all templates that match the whole path it is the one most literal from left to right, where a
    /// variable is less literal than a literal, and `{*rest}` less than a variable. This finds all that the
    /// walk of Jakarta WebSocket 3.1.1 finds, and also what that walk misses because it never turns back.
    ///
    /// The path is split before it is decoded, so that `%2F` makes no segment; literals compare decoded and
    /// case-sensitively. An empty segment matches no variable and does not begin a `{*rest}`.
    ///
    /// What is not admitted is as if it were not deployed.
    pub(crate) fn find_among(&self, raw_path: &str, admit: impl Fn(&T) -> bool) -> Option<Match<'_, T>> {
        let mut values = Vec::new();
        let admit = |index: usize| admit(&self.deployed[index].1);
        let index = match self.exact.get(raw_path).copied().filter(|&index| admit(index)) {
            Some(index) => index,
            None => self.root.walk(raw_path.strip_prefix('/')?, &mut values, &admit)?,
        };
        let (template, value) = &self.deployed[index];
        Some(Match { value, params: PathParams::decode(template, &values) })
    }
}

/// Where one can be after some segments: what may follow, and what is deployed if nothing does.
///
/// A request visits a node at most once, since one path of segments leads there; so no request can make the
/// search longer than the tree is large, nor deeper than the longest template.
#[derive(Debug, Default)]
struct Node {
    end: Option<usize>,
    literals: HashMap<String, Node>,
    variable: Option<Box<Node>>,
    rest: Option<usize>,
}

impl Node {
    /// The place of a template below this node, with the way to it made.
    fn place(&mut self, segments: &[Segment]) -> &mut Option<usize> {
        let Some((segment, after)) = segments.split_first() else { return &mut self.end };
        match segment {
            Segment::Literal(text) => self.literals.entry(text.clone()).or_default().place(after),
            Segment::Variable(_) => self.variable.get_or_insert_default().place(after),
            Segment::Rest(_) => &mut self.rest,
        }
    }

    /// Walks the segments of `path`, most literal first, turning back where a way leads nowhere, or to what is not admitted.
    ///
    /// On success `values` holds the raw values of the variables on the way.
    fn walk<'p>(
        &self,
        path: &'p str,
        values: &mut Vec<&'p str>,
        admit: &impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let (segment, after) = match path.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (path, None),
        };
        if let Some(text) = grammar::decode(segment)
            && let Some(node) = self.literals.get(&*text)
            && let Some(found) = node.follow(after, values, admit)
        {
            return Some(found);
        }
        if segment.is_empty() {
            return None;
        }
        if let Some(node) = &self.variable {
            values.push(segment);
            if let Some(found) = node.follow(after, values, admit) {
                return Some(found);
            }
            values.pop();
        }
        let found = self.rest.filter(|&index| admit(index))?;
        values.push(path);
        Some(found)
    }

    fn follow<'p>(
        &self,
        path: Option<&'p str>,
        values: &mut Vec<&'p str>,
        admit: &impl Fn(usize) -> bool,
    ) -> Option<usize> {
        match path {
            Some(path) => self.walk(path, values, admit),
            None => self.end.filter(|&index| admit(index)),
        }
    }
}

#[cfg(test)]
impl<T> Router<T> {
    /// Among all.
    pub(crate) fn find(&self, raw_path: &str) -> Option<Match<'_, T>> {
        self.find_among(raw_path, |_| true)
    }
}

#[cfg(test)]
mod tests;
