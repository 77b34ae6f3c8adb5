//! What is meant by a type and a name, and what is built before what.

use std::sync::Arc;

use super::component::ComponentConfig;
use super::index::{Candidate, Choice, Index};
use super::order::Walk;
use super::*;
use super::{Need, Wanted};
use crate::error::Place;

const HERE: Place = Place::new("here.rs", 1);

fn value(name: Option<&'static str>, registered: bool) -> ComponentConfig {
    let config = ComponentConfig::shared(Arc::new(7u8), HERE);
    let config = if registered { config.registered() } else { config };
    match name {
        Some(name) => config.named(name),
        None => config,
    }
}

#[test]
fn one_is_chosen_by_its_name_or_because_it_has_none_or_is_alone() {
    const REGISTERED: bool = true;
    const GIVEN: bool = false;
    let one = |component| Choice::One(Candidate { component, view: 0 });
    let (a, b) = (Some("a"), Some("b"));
    // What there is, the name that is asked for, and what is chosen.
    type Row<'a> = (&'a [(Option<&'static str>, bool)], Option<&'static str>, Choice);
    let table: &[Row<'_>] = &[
        (&[], None, Choice::None),
        (&[], a, Choice::None),
        (&[(None, GIVEN)], None, one(0)),
        (&[(None, GIVEN)], a, Choice::None),
        (&[(a, GIVEN)], None, one(0)),
        (&[(a, GIVEN)], a, one(0)),
        (&[(a, GIVEN)], b, Choice::None),
        (&[(a, GIVEN), (b, GIVEN)], b, one(1)),
        (&[(a, GIVEN), (b, GIVEN)], None, Choice::Several),
        (&[(a, GIVEN), (None, GIVEN)], None, one(1)),
        (&[(None, GIVEN), (None, GIVEN)], None, Choice::Several),
        (&[(a, GIVEN), (a, GIVEN)], a, Choice::Several),
        // What the exporter was given goes first, among those that fit.
        (&[(None, GIVEN), (None, REGISTERED)], None, one(0)),
        (&[(a, GIVEN), (a, REGISTERED)], a, one(0)),
        (&[(a, GIVEN), (b, REGISTERED)], None, one(0)),
        (&[(a, GIVEN), (None, REGISTERED)], None, one(1)),
        (&[(a, REGISTERED), (b, REGISTERED)], None, Choice::Several),
    ];
    for (components, name, expected) in table {
        let configs: Vec<_> = components.iter().map(|&(name, registered)| value(name, registered)).collect();
        let index = Index::new(&configs);
        let chosen = index.choose(&configs, Key::of::<u8>().id, *name);
        assert_eq!(chosen, *expected, "{name:?} of {components:?}");
    }
}

/// Places of components that need those with these numbers.
fn graph(dependencies: &[&[usize]]) -> Vec<ComponentPlace> {
    let need = Need { wanted: Wanted::All(Key::of::<u8>()), asked_by: "", place: HERE };
    let place = |needed: &&[usize]| ComponentPlace {
        dependencies: needed.iter().map(|&component| Dependency { component, need }).collect(),
        ..ComponentPlace::default()
    };
    dependencies.iter().map(place).collect()
}

#[test]
fn each_comes_after_all_that_it_needs_and_else_in_the_given_order() {
    let places = graph(&[&[3, 2], &[], &[4], &[4], &[], &[0, 1]]);
    let mut walk = Walk::new(&places);
    (0..places.len()).for_each(|at| walk.visit(at));
    assert_eq!(walk.order, [4, 3, 2, 0, 1, 5]);
    assert!(walk.cycles.is_empty());
}

#[test]
fn only_what_is_needed_is_visited() {
    let places = graph(&[&[1], &[], &[0]]);
    let mut walk = Walk::new(&places);
    walk.visit(0);
    walk.visit(0);
    assert_eq!(walk.order, [1, 0]);
}

#[test]
fn circles_are_found_with_the_path_that_leads_around() {
    // Into a circle of three, one of one, and one that shares a part with the first.
    let places = graph(&[&[1], &[2], &[3, 4], &[1], &[4, 2]]);
    let mut walk = Walk::new(&places);
    (0..places.len()).for_each(|at| walk.visit(at));
    let circles: Vec<Vec<usize>> =
        walk.cycles.iter().map(|circle| circle.iter().map(|(from, _)| *from).collect()).collect();
    assert_eq!(circles, [vec![1, 2, 3], vec![4], vec![2, 4]]);
    for circle in &walk.cycles {
        let leads_to: Vec<_> = circle.iter().map(|(_, dependency)| dependency.component).collect();
        let mut expected: Vec<_> = circle.iter().map(|(from, _)| *from).collect();
        expected.rotate_left(1);
        assert_eq!(leads_to, expected);
    }
}

/// However long a chain is, it costs no stack.
#[test]
fn a_chain_of_a_hundred_thousand_is_walked() {
    const LENGTH: usize = 100_000;
    let needs: Vec<Vec<usize>> = (0..LENGTH).map(|at| (at + 1..LENGTH).take(1).collect()).collect();
    let needs: Vec<&[usize]> = needs.iter().map(Vec::as_slice).collect();
    let places = graph(&needs);
    let mut walk = Walk::new(&places);
    walk.visit(0);
    assert_eq!((walk.order.len(), walk.order[0], walk.order[LENGTH - 1]), (LENGTH, LENGTH - 1, 0));
}

#[test]
fn what_is_not_found_is_looked_for_in_the_parent() {
    let context = |components| ApplicationContext::new(components, &Settings::default(), Vec::new(), 0);
    let mut components = Components::default();
    components.add(ComponentConfig::value(1u8));
    components.add(ComponentConfig::value('p'));
    let parent = context(components);
    let child =
        context(Components { configs: vec![ComponentConfig::value(2u8)], parent: Some(parent.clone()) });
    assert_eq!((*child.get::<u8>().unwrap(), *child.get::<char>().unwrap()), (2, 'p'));
    assert_eq!(child.all::<u8>().iter().map(|number| **number).collect::<Vec<_>>(), [2, 1]);
    assert!(child.find::<u16>().is_none() && parent.find::<u16>().is_none());
}
