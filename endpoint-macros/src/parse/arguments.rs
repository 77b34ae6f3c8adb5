//! The arguments of an attribute: `"/path", name = value, …`.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Token, Type, bracketed, token};

use crate::problems::Problems;

/// All arguments of an attribute, in order.
#[derive(Default)]
pub(crate) struct Arguments {
    /// Those without a name.
    pub(crate) positional: Vec<Expr>,
    /// Those that have arguments of their own: `name(..)`.
    pub(crate) nested: Vec<Nested>,
    /// Those with one.
    pub(crate) named: Vec<Argument>,
}

/// `name = value`
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

/// `name(..)`
pub(crate) struct Nested {
    pub(crate) name: Ident,
    pub(crate) arguments: TokenStream,
}

/// What an argument is set to.
pub(crate) enum Value {
    Expression(Expr),
    /// `[Type, …]`, with its brackets, or one type without.
    Types(Option<token::Bracket>, Punctuated<Type, Token![,]>),
}

/// The arguments that are set to types, which may look like no expression: `Csv<Row>`.
const TYPES: &[&str] = &["decoders", "encoders", "configurator", "as"];

/// The arguments that have arguments of their own.
const NESTED: &[&str] = &["recover"];

impl Arguments {
    /// Takes the arguments apart. What cannot be read is a problem, and what follows its comma is read all the same.
    pub(crate) fn parse(tokens: TokenStream, problems: &mut Problems) -> Self {
        let parser = |input: ParseStream<'_>| Ok(Self::parse_all(input, problems));
        // The parser reads to the end and never fails.
        parser.parse2(tokens).unwrap_or_default()
    }

    fn parse_all(input: ParseStream<'_>, problems: &mut Problems) -> Self {
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            if let Err(error) = arguments.parse_one(input) {
                problems.add(error);
                skip_to_comma(input);
            }
            if input.is_empty() || input.parse::<Token![,]>().is_ok() {
                continue;
            }
            problems.add(input.error("expected `,` between two arguments"));
            skip_to_comma(input);
            let _ = input.parse::<Option<Token![,]>>();
        }
        arguments
    }

    fn parse_one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
            let name = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            let types = TYPES.iter().any(|known| name == known).then(|| parse_types(input)).flatten();
            let value = match types {
                Some(types) => types,
                None => Value::Expression(ungrouped(input.parse()?)),
            };
            self.named.push(Argument { name, value });
        } else if NESTED.iter().any(|known| starts_with(input, known)) && input.peek2(token::Paren) {
            let (name, inside) = (input.call(Ident::parse_any)?, input.parse::<Group>()?);
            self.nested.push(Nested { name, arguments: inside.stream() });
        } else {
            self.positional.push(ungrouped(input.parse()?));
        }
        Ok(())
    }
}

/// Whether this word comes next.
fn starts_with(input: ParseStream<'_>, word: &str) -> bool {
    input.fork().call(Ident::parse_any).is_ok_and(|next| next == word)
}

/// Types up to the next argument. `None`, with nothing read, if something else stands there.
fn parse_types(input: ParseStream<'_>) -> Option<Value> {
    let ahead = input.fork();
    let types = if ahead.peek(token::Bracket) {
        bracketed_types(&ahead)
    } else {
        ahead.parse::<Type>().map(|one| Value::Types(None, Punctuated::from_iter([one])))
    };
    let types = types.ok().filter(|_| ahead.is_empty() || ahead.peek(Token![,]))?;
    input.advance_to(&ahead);
    Some(types)
}

fn bracketed_types(input: ParseStream<'_>) -> syn::Result<Value> {
    let types;
    let bracket = bracketed!(types in input);
    Ok(Value::Types(Some(bracket), types.parse_terminated(Type::parse, Token![,])?))
}

/// An expression as its author wrote it: without the invisible group that `macro_rules!` puts around `$value:expr`.
fn ungrouped(expression: Expr) -> Expr {
    match expression {
        Expr::Group(group) => ungrouped(*group.expr),
        other => other,
    }
}

impl ToTokens for Value {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Value::Expression(expression) => expression.to_tokens(tokens),
            Value::Types(Some(bracket), types) => bracket.surround(tokens, |tokens| types.to_tokens(tokens)),
            Value::Types(None, types) => types.to_tokens(tokens),
        }
    }
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        let _ = input.parse::<TokenTree>();
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn arguments_come_apart() {
        let mut problems = Problems::default();
        let tokens = quote!("/path", scope = singleton, crate = a::b, size = 2 * 3,);
        let arguments = Arguments::parse(tokens, &mut problems);
        let names: Vec<_> = arguments.named.iter().map(|argument| argument.name.to_string()).collect();
        assert!(problems.is_empty());
        assert_eq!(arguments.positional.len(), 1);
        assert_eq!(names, ["scope", "crate", "size"]);
    }

    #[test]
    fn types_are_read_as_such() {
        let mut problems = Problems::default();
        let tokens = quote!(decoders = [A, b::C<D, E>], configurator = F<G, H>, encoders = ["x"], crate = i);
        let arguments = Arguments::parse(tokens, &mut problems);
        let read = arguments.named.iter().map(|argument| match &argument.value {
            Value::Types(bracket, types) => (bracket.is_some(), types.len()),
            Value::Expression(_) => (false, 0),
        });
        assert!(problems.is_empty());
        assert_eq!(read.collect::<Vec<_>>(), [(true, 2), (false, 1), (false, 0), (false, 0)]);
    }

    #[test]
    fn what_follows_a_mistake_is_read() {
        let mut problems = Problems::default();
        let arguments = Arguments::parse(quote!(a = , b = 1 c = 2, d = 3), &mut problems);
        let names: Vec<_> = arguments.named.iter().map(|argument| argument.name.to_string()).collect();
        assert_eq!(names, ["b", "d"]);
        assert_eq!(problems.to_token_stream().to_string().matches("compile_error").count(), 2);
    }
}
