//! Whose `impl` block it is: one type of the user's, and no trait's.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{PathArguments, Type};

use crate::parse::Block;
use crate::problems::Problems;

/// What to say about another block.
pub(super) struct Words {
    /// About one for a trait: what belongs where.
    pub(super) of_a_trait: &'static str,
    /// About one for many types.
    pub(super) of_many: &'static str,
    /// About one for something that nobody can call a type of theirs.
    pub(super) of_another: &'static str,
}

/// The type of the block. `None` beside a problem.
pub(super) fn own_type(block: &Block, words: &Words, problems: &mut Problems) -> Option<TokenStream> {
    if let Some((_, path, _)) = &block.for_trait {
        let self_type = block.self_type.to_token_stream();
        problems.on(path, format!("{}: write `impl {self_type}`, without a trait", words.of_a_trait));
        return None;
    }
    let mut ty = &block.self_type;
    while let Type::Group(group) = ty {
        ty = &group.elem;
    }
    let is_generic = !block.generics.params.is_empty();
    match ty {
        Type::Path(path) if path.qself.is_none() => {
            let arguments = path.path.segments.iter().find(|segment| !segment.arguments.is_empty());
            match arguments.map(|segment| &segment.arguments) {
                None | Some(PathArguments::None) if !is_generic => Some(path.to_token_stream()),
                arguments => {
                    let place = match arguments {
                        _ if is_generic => block.generics.params.to_token_stream(),
                        arguments => arguments.to_token_stream(),
                    };
                    problems.on(place, words.of_many);
                    None
                }
            }
        }
        other => {
            problems.on(other, words.of_another);
            None
        }
    }
}
