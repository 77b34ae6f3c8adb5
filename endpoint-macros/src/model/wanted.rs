//! What an instance wants of the application: the first value of a field, or an argument of the function that makes it.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Attribute, Expr, LitStr, Meta};

use super::attributes;
use super::setting::Setting;
use crate::problems::Problems;

/// A value that is made of what the application has.
pub(crate) struct Wanted {
    /// What people call it.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) span: Span,
    pub(crate) ty: TokenStream,
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) initial: Initial,
}

/// Where it comes from.
pub(crate) enum Initial {
    /// `#[inject]`, or `#[inject("name")]`
    Inject(Option<LitStr>),
    /// `#[value("table.key")]`
    Setting(Setting),
    /// `#[init(expression)]`
    Expression(Expr),
    Default,
}

/// The attributes that say so, and how one writes them.
const OURS: [(&str, &str); 3] =
    [("inject", "`#[inject]`"), ("init", "`#[init(..)]`"), ("value", "`#[value(..)]`")];

/// Takes the attributes that say where a value comes from.
pub(super) fn take(attributes: &mut Vec<Attribute>) -> Vec<Attribute> {
    attributes::take(attributes, |attribute| OURS.iter().any(|(name, _)| attributes::is(attribute, name)))
}

impl Initial {
    /// What these attributes say of a field.
    pub(super) fn of_field(ours: &[Attribute], problems: &mut Problems) -> Self {
        only_one(ours, "a field has one first value", "on one field: its first value comes", problems);
        ours.first().map_or(Initial::Default, |attribute| Self::said_by(attribute, problems))
    }

    /// What they say of a parameter, which is injected if they say nothing.
    pub(super) fn of_parameter(ours: &[Attribute], problems: &mut Problems) -> Self {
        only_one(ours, "a parameter has one value", "on one parameter: its value comes", problems);
        match ours.first() {
            None => Initial::Inject(None),
            Some(attribute) if attributes::is(attribute, "init") => {
                problems.on(
                    attribute,
                    "an expression can stand in the function itself: remove this parameter, or have it injected",
                );
                Initial::Inject(None)
            }
            Some(attribute) => Self::said_by(attribute, problems),
        }
    }

    fn said_by(attribute: &Attribute, problems: &mut Problems) -> Self {
        if attributes::is(attribute, "inject") {
            Initial::Inject(component(attribute, problems))
        } else if attributes::is(attribute, "value") {
            Setting::of(attribute, problems).map_or(Initial::Default, Initial::Setting)
        } else {
            expression(attribute, problems).map_or(Initial::Default, Initial::Expression)
        }
    }
}

/// Two attributes are one too many.
fn only_one(ours: &[Attribute], once: &str, one_of_them: &str, problems: &mut Problems) {
    let Some((first, others)) = ours.split_first() else { return };
    let written = |attribute: &Attribute| {
        OURS.iter().find(|(name, _)| attributes::is(attribute, name)).map_or("", |(_, written)| written)
    };
    for other in others {
        let message = match (written(first), written(other)) {
            (one, same) if one == same && one == "`#[inject]`" => format!("{one} stands here twice"),
            (one, same) if one == same => format!("{one} stands here twice: {once}"),
            (one, another) => format!("{one} and {another} {one_of_them} from one of them"),
        };
        problems.on(other, message);
    }
}

/// The name in `#[inject("name")]`, if there is one.
fn component(attribute: &Attribute, problems: &mut Problems) -> Option<LitStr> {
    let arguments = match &attribute.meta {
        Meta::Path(_) => return None,
        Meta::List(list) if !list.tokens.is_empty() => list.tokens.clone(),
        Meta::List(_) => attribute.to_token_stream(),
        Meta::NameValue(_) => {
            problems.on(attribute, "write the name in parentheses: `#[inject(\"name\")]`");
            return None;
        }
    };
    match syn::parse2::<LitStr>(arguments.clone()) {
        Ok(name) if name.value().is_empty() => problems.on(name, "the name is empty"),
        Ok(name) => return Some(name),
        Err(_) => problems.on(
            arguments,
            "`#[inject]` has one argument, and none is needed if there is one component of the type: its name, as in `#[inject(\"name\")]`",
        ),
    }
    None
}

/// The expression in `#[init(expression)]`.
fn expression(attribute: &Attribute, problems: &mut Problems) -> Option<Expr> {
    let expression = match &attribute.meta {
        Meta::List(list) => list.parse_args::<Expr>().ok(),
        _ => None,
    };
    if expression.is_none() {
        problems.on(attribute, "expected one expression, as in `#[init(Vec::new())]`");
    }
    expression
}
