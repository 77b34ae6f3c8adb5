//! What `#[component]` and `#[provider]` generate: how the component is made, what it is known as, and the registration.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Attribute, Type};

use super::endpoint::initial;
use super::wanted::{context_local, needs, value};
use super::{ask_with, braced, ends, parenthesized, place};
use crate::model::{Component, ComponentOptions, Constructed, Maker, Wanted, written};
use crate::runtime::Runtime;

/// One implementation of `ComponentDeclared`, in parts.
struct Declared<'d> {
    /// The type that implements it, and for which there is one of it.
    implementor: TokenStream,
    /// The type of the component.
    component: TokenStream,
    /// What people call it, and where that stands.
    name: String,
    span: Span,
    needs: Option<TokenStream>,
    /// What `make` does: the last expression is a `Result<Arc<Component>>`. And where that stands, for whatever is wrong with its future.
    made: TokenStream,
    made_at: Span,
    options: &'d ComponentOptions,
}

/// The component that a struct is.
pub(crate) fn component(component: &Component, options: &ComponentOptions, runtime: &Runtime) -> TokenStream {
    let Component { name, conditions, fields } = component;
    let initials = fields.iter().map(|field| initial(field, runtime));
    let declared = Declared {
        implementor: name.to_token_stream(),
        component: quote_spanned!(name.span()=> Self),
        name: name.unraw().to_string(),
        span: name.span(),
        needs: needs(fields.iter().map(|field| &field.wanted), runtime),
        made: quote!(::core::result::Result::Ok(#runtime::Arc::new(Self { #(#initials,)* }))),
        made_at: name.span(),
        options,
    };
    let (implementation, registration) =
        (declared.implementation(runtime), registration(&name.to_token_stream(), runtime));
    quote!(#(#conditions)* #implementation #(#conditions)* #registration)
}

/// The component that a constructor makes.
pub(crate) fn constructed(block: &Constructed, options: &ComponentOptions, runtime: &Runtime) -> TokenStream {
    let of_each = block.constructors.iter().map(|constructor| {
        let self_type = &block.self_type;
        let name = &constructor.name;
        let declared = Declared {
            implementor: self_type.clone(),
            component: quote_spanned!(ends(self_type)[1]=> Self),
            name: written(self_type).rsplit(':').next().unwrap_or_default().to_owned(),
            span: ends(self_type)[0],
            needs: needs(wanted(constructor), runtime),
            made: made(constructor, &quote!(#self_type::#name), runtime),
            made_at: name.span(),
            options,
        };
        let (implementation, registration) =
            (declared.implementation(runtime), registration(self_type, runtime));
        let conditions: Vec<&Attribute> = block.conditions.iter().chain(&constructor.conditions).collect();
        quote!(#(#conditions)* #implementation #(#conditions)* #registration)
    });
    of_each.collect()
}

/// The component that a provider makes.
///
/// Its type may be anybody's, so a type of the function's own stands for it.
pub(crate) fn provider(maker: &Maker, options: &ComponentOptions, runtime: &Runtime) -> TokenStream {
    let Maker { name, conditions, component, .. } = maker;
    let implementor = Ident::new("__Provider", Span::mixed_site()).into_token_stream();
    let declared = Declared {
        implementor: implementor.clone(),
        component: component.clone(),
        name: written(component),
        span: name.span(),
        needs: needs(wanted(maker), runtime),
        made: made(maker, &name.to_token_stream(), runtime),
        made_at: name.span(),
        options,
    };
    let (implementation, registration) =
        (declared.implementation(runtime), registration(&implementor, runtime));
    let whole = is_whole(maker, runtime);
    quote! {
        #(#conditions)*
        const _: () = {
            struct #implementor;
            #implementation
            #registration
            #whole
        };
    }
}

/// An implementation that says as much as is known, so that a problem with the declaration is not also one of every use of the type.
pub(crate) fn component_fallback(component: &Component, runtime: &Runtime) -> TokenStream {
    let Component { name, conditions, .. } = component;
    fallback(&name.to_token_stream(), conditions, runtime)
}

/// The same for the type of a block.
pub(crate) fn constructed_fallback(block: &Constructed, runtime: &Runtime) -> TokenStream {
    fallback(&block.self_type, &block.conditions, runtime)
}

fn fallback(implementor: &TokenStream, conditions: &[Attribute], runtime: &Runtime) -> TokenStream {
    let header = header(implementor, runtime);
    quote! {
        #(#conditions)*
        #[automatically_derived]
        #header {
            type Component = Self;
            async fn make(_: &#runtime::ApplicationContext) -> #runtime::Result<#runtime::Arc<Self>> {
                ::core::unreachable!("this does not compile")
            }
            fn config() -> #runtime::ComponentConfig {
                ::core::unreachable!("this does not compile")
            }
        }
    }
}

impl Declared<'_> {
    fn implementation(&self, runtime: &Runtime) -> TokenStream {
        let Declared { implementor, component, needs, made, .. } = self;
        let (header, config) = (header(implementor, runtime), self.config(runtime));
        let component_type = quote_spanned!(ends(component)[0]=> type Component = #component;);
        let (at, context) = (runtime.at(self.made_at), context_local());
        let signature = quote_spanned! {self.made_at=>
            async fn make(#context: &#at::ApplicationContext) -> #at::Result<#at::Arc<#component>>
        };
        let make = braced(made.clone(), self.made_at);
        let body = quote!(#component_type #needs #signature #make #config);
        let body = braced(body, ends(implementor)[0]);
        quote!(#[automatically_derived] #header #body)
    }

    /// `fn config`: what it is known as, and which of the runtime's traits it implements.
    fn config(&self, runtime: &Runtime) -> TokenStream {
        let Declared { component, name, span, options, .. } = self;
        let place = place(runtime, *span);
        let named = options.name.as_ref().map(|name| quote!(.named(#name)));
        let lazy = options.is_lazy.then(|| quote!(.lazy()));
        let shared_as = options.shared_as.iter().map(|ty| shared_as(component, ty));
        quote! {
            fn config() -> #runtime::ComponentConfig {
                let config = #runtime::ComponentConfig::declared::<Self>(#name, ::core::env!("CARGO_PKG_NAME"), #place)
                    #named #(#shared_as)* #lazy;
                let roles = #runtime::Roles::<#component>::of_type();
                roles.if_observer(roles.if_aware(roles.if_lifecycle(config)))
            }
        }
    }
}

/// `.provides::<Component, dyn Trait>(..)`, all of it at the place of the trait.
fn shared_as(component: &TokenStream, ty: &Type) -> TokenStream {
    let [first, last] = ends(&ty.to_token_stream());
    let provides = quote_spanned!(first=> .provides::<#component, #ty>);
    let component = Ident::new("component", first);
    let share = parenthesized(quote_spanned!(first=> |#component| #component), last);
    quote!(#provides #share)
}

fn wanted(maker: &Maker) -> impl Iterator<Item = &Wanted> {
    maker.arguments.iter().map(|argument| &argument.wanted)
}

/// The arguments one by one, and the call.
fn made(maker: &Maker, function: &TokenStream, runtime: &Runtime) -> TokenStream {
    let arguments = maker.arguments.iter().map(|argument| {
        let (local, value) = (&argument.local, value(&argument.wanted, runtime));
        quote!(let #local = #value;)
    });
    let locals = maker.arguments.iter().map(|argument| &argument.local);
    let wait = maker.is_async.then(|| quote!(.await));
    let component = &maker.component;
    let called = quote!(#function(#(#locals),*) #wait);
    let made = ask_with(&maker.returns, &quote!(Made<#component>), runtime, "made", called);
    quote!(#(#arguments)* #made)
}

/// `impl ComponentDeclared for Type`, at the type.
fn header(implementor: &TokenStream, runtime: &Runtime) -> TokenStream {
    let span = ends(implementor)[0];
    let runtime = runtime.at(span);
    quote_spanned!(span=> impl #runtime::ComponentDeclared for #implementor)
}

fn registration(implementor: &TokenStream, runtime: &Runtime) -> TokenStream {
    quote! {
        const _: () = {
            #runtime::submit! { #runtime::ComponentRegistration::new(<#implementor as #runtime::ComponentDeclared>::config) }
        };
    }
}

/// The check that what a provider returns is no `Result` by another name, of which the component's type could not be read. Points at it.
fn is_whole(maker: &Maker, runtime: &Runtime) -> Option<TokenStream> {
    let (component, returns) = (&maker.component, &maker.returns);
    (component.to_string() == returns.to_string()).then(|| {
        let [first, last] = ends(returns);
        let at = runtime.at(first);
        let whole = quote_spanned!(first=> #at::is_whole);
        let of = parenthesized(quote!(#runtime::Returned::<#returns>::IS_RESULT), last);
        quote! {
            const _: () = {
                use #runtime::NoResult as _;
                #whole #of
            };
        }
    })
}
