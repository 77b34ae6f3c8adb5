//! The arguments of an attribute: `"/path", name = value, …`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Token};

use crate::problems::Problems;

/// All arguments of an attribute, in order.
pub(crate) struct Arguments {
    /// Those without a name.
    pub(crate) positional: Vec<Expr>,
    /// Those with one.
    pub(crate) named: Vec<Argument>,
}

/// `name = value`
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) value: Expr,
}

impl Arguments {
    /// Takes the arguments apart. What cannot be read is a problem, and what follows its comma is read all the same.
    pub(crate) fn parse(tokens: TokenStream, problems: &mut Problems) -> Self {
        let parser = |input: ParseStream<'_>| Ok(Self::parse_all(input, problems));
        // The parser reads to the end and never fails.
        parser.parse2(tokens).unwrap_or(Arguments { positional: Vec::new(), named: Vec::new() })
    }

    fn parse_all(input: ParseStream<'_>, problems: &mut Problems) -> Self {
        let mut arguments = Arguments { positional: Vec::new(), named: Vec::new() };
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
            self.named.push(Argument { name, value: ungrouped(input.parse()?) });
        } else {
            self.positional.push(ungrouped(input.parse()?));
        }
        Ok(())
    }
}

/// An expression as its author wrote it: without the invisible group that `macro_rules!` puts around `$value:expr`.
fn ungrouped(expression: Expr) -> Expr {
    match expression {
        Expr::Group(group) => ungrouped(*group.expr),
        other => other,
    }
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        let _ = input.parse::<TokenTree>();
    }
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};

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
    fn what_follows_a_mistake_is_read() {
        let mut problems = Problems::default();
        let arguments = Arguments::parse(quote!(a = , b = 1 c = 2, d = 3), &mut problems);
        let names: Vec<_> = arguments.named.iter().map(|argument| argument.name.to_string()).collect();
        assert_eq!(names, ["b", "d"]);
        assert_eq!(problems.to_token_stream().to_string().matches("compile_error").count(), 2);
    }
}
