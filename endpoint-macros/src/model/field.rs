//! A field of a type whose instances the runtime makes.

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Fields, Index, Member};

use super::attributes;
use super::wanted::{self, Initial, Wanted};
use crate::problems::Problems;

pub(crate) struct Field {
    pub(crate) member: Member,
    pub(crate) wanted: Wanted,
}

impl Field {
    /// All fields of a struct, without the attributes that are ours.
    pub(super) fn take_all(fields: &mut Fields, problems: &mut Problems) -> Vec<Self> {
        fields.iter_mut().enumerate().map(|(index, field)| Self::take_from(field, index, problems)).collect()
    }

    fn take_from(field: &mut syn::Field, index: usize, problems: &mut Problems) -> Self {
        let ours = wanted::take(&mut field.attrs);
        let (member, name, span) = match &field.ident {
            Some(ident) => (Member::Named(ident.clone()), ident.unraw().to_string(), ident.span()),
            None => {
                let first = field.ty.to_token_stream().into_iter().next();
                let span = first.map_or_else(Span::call_site, |token| token.span());
                (Member::Unnamed(Index::from(index)), index.to_string(), span)
            }
        };
        let wanted = Wanted {
            name,
            span,
            ty: field.ty.to_token_stream(),
            conditions: attributes::conditions(&field.attrs),
            initial: Initial::of_field(&ours, problems),
        };
        Field { member, wanted }
    }
}
