//! An `impl` block from outside: the signatures of its methods, with their bodies as tokens.

use proc_macro2::{Group, TokenStream};
use quote::{ToTokens, TokenStreamExt};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Generics, ImplItem, Path, Signature, Token, Type, Visibility, WhereClause, braced};

/// `impl Type { … }`, or `impl Trait for Type { … }` if its author took the wrong one.
pub(crate) struct Block {
    pub(crate) attributes: Vec<Attribute>,
    unsafety: Option<Token![unsafe]>,
    pub(crate) impl_token: Token![impl],
    pub(crate) generics: Generics,
    pub(crate) for_trait: Option<(Option<Token![!]>, Path, Token![for])>,
    pub(crate) self_type: Type,
    brace: syn::token::Brace,
    pub(crate) members: Vec<Member>,
}

pub(crate) enum Member {
    Method(Box<Method>),
    /// A constant, a type, a macro call: none of our business.
    Other(Box<ImplItem>),
}

/// A function or method.
pub(crate) struct Method {
    pub(crate) attributes: Vec<Attribute>,
    visibility: Visibility,
    defaultness: Option<Token![default]>,
    pub(crate) signature: Signature,
    body: Group,
}

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let unsafety = input.parse()?;
        let impl_token = input.parse()?;
        let mut generics: Generics = if has_generics(input) { input.parse()? } else { Generics::default() };
        let (for_trait, self_type) = parse_header(input)?;
        generics.where_clause = input.parse::<Option<WhereClause>>()?;

        let content;
        let brace = braced!(content in input);
        let inner = content.call(Attribute::parse_inner)?;
        let mut members = Vec::new();
        while !content.is_empty() {
            members.push(content.parse()?);
        }
        let attributes = attributes.into_iter().chain(inner).collect();
        Ok(Block { attributes, unsafety, impl_token, generics, for_trait, self_type, brace, members })
    }
}

type ForTrait = (Option<Token![!]>, Path, Token![for]);

fn parse_header(input: ParseStream<'_>) -> syn::Result<(Option<ForTrait>, Type)> {
    let polarity = input.parse::<Option<Token![!]>>()?;
    let first: Type = input.parse()?;
    let Some(for_token) = input.parse::<Option<Token![for]>>()? else {
        return Ok((None, first));
    };
    match first {
        Type::Path(path) if path.qself.is_none() => {
            Ok((Some((polarity, path.path, for_token)), input.parse()?))
        }
        other => Err(syn::Error::new_spanned(other, "expected a trait")),
    }
}

/// `impl<T>` has generics, `impl <T as Trait>::Type` has none.
fn has_generics(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<Generics>().is_ok_and(|generics| generics.lt_token.is_some()) && !ahead.peek(Token![::])
}

impl Parse for Member {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        let method = (|| {
            ahead.call(Attribute::parse_outer)?;
            ahead.parse::<Visibility>()?;
            ahead.parse::<Option<Token![default]>>()?;
            ahead.parse::<Signature>()
        })();
        match method {
            Ok(_) if ahead.peek(syn::token::Brace) => Ok(Member::Method(Box::new(Method {
                attributes: input.call(Attribute::parse_outer)?,
                visibility: input.parse()?,
                defaultness: input.parse()?,
                signature: input.parse()?,
                body: input.parse()?,
            }))),
            _ => input.parse().map(|item| Member::Other(Box::new(item))),
        }
    }
}

impl ToTokens for Block {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(outer(&self.attributes));
        self.unsafety.to_tokens(tokens);
        self.impl_token.to_tokens(tokens);
        self.generics.to_tokens(tokens);
        if let Some((polarity, path, for_token)) = &self.for_trait {
            polarity.to_tokens(tokens);
            path.to_tokens(tokens);
            for_token.to_tokens(tokens);
        }
        self.self_type.to_tokens(tokens);
        self.generics.where_clause.to_tokens(tokens);
        self.brace.surround(tokens, |tokens| {
            tokens.append_all(inner(&self.attributes));
            tokens.append_all(&self.members);
        });
    }
}

impl ToTokens for Member {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Member::Method(method) => method.to_tokens(tokens),
            Member::Other(other) => other.to_tokens(tokens),
        }
    }
}

impl ToTokens for Method {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(outer(&self.attributes));
        self.visibility.to_tokens(tokens);
        self.defaultness.to_tokens(tokens);
        self.signature.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

fn outer(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| matches!(attribute.style, syn::AttrStyle::Outer))
}

fn inner(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| matches!(attribute.style, syn::AttrStyle::Inner(_)))
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn a_block_comes_out_as_it_went_in() {
        let tokens = quote! {
            #[allow(dead_code)]
            impl<'a, T: Clone> module::Type<'a, T>
            where
                T: 'a,
            {
                #![doc = "inside"]
                const A: usize = 1;
                const fn a() -> usize { Self::A }
                #[inline]
                pub(crate) async unsafe extern "C" fn b(&self, #[path] (a, b): (u8, u8)) -> u8 where T: Copy { a + b }
                thread_local! {}
            }
        };
        let block: Block = syn::parse2(tokens.clone()).unwrap();
        assert_eq!(block.to_token_stream().to_string(), tokens.to_string());
        let methods = block.members.iter().filter(|member| matches!(member, Member::Method(_))).count();
        assert_eq!(methods, 2);
    }

    #[test]
    fn a_trait_impl_is_seen() {
        let block: Block = syn::parse_quote!(impl a::Trait<u8> for Type {});
        assert!(block.for_trait.is_some());
        assert_eq!(block.to_token_stream().to_string(), "impl a :: Trait < u8 > for Type { }");
    }
}
