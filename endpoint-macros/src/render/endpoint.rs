//! What `#[server_endpoint]` generates: the declaration, the way an instance is made, and the registration.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::LitStr;
use syn::ext::IdentExt;

use super::{ask, place};
use crate::model::{Endpoint, Field, Initial, Options, Scope, Timeout};
use crate::runtime::Runtime;

/// The implementation of `Declared`, and the registration.
pub(crate) fn endpoint(
    endpoint: &Endpoint,
    path: &LitStr,
    options: &Options,
    runtime: &Runtime,
) -> TokenStream {
    let Endpoint { name, conditions, fields } = endpoint;
    let header = header(endpoint, runtime);
    let [asked, context] = locals();
    let scope = scope(endpoint, options, runtime);
    let declaration = declaration(endpoint, path, options, runtime);
    let needs = needs(fields, runtime);
    let initials = fields.iter().map(|field| initial(field, runtime));
    quote! {
        #(#conditions)*
        #[automatically_derived]
        #header {
            #scope
            const DECLARATION: #runtime::Declaration = #declaration;

            fn needs(#asked: &mut #runtime::Needs) {
                #needs
            }

            fn create(#context: &#runtime::ApplicationContext) -> #runtime::Result<Self> {
                ::core::result::Result::Ok(Self { #(#initials,)* })
            }
        }

        #(#conditions)*
        const _: () = {
            #runtime::submit! { #runtime::Registration::of::<#name>() }
        };
    }
}

/// An implementation that says as much as is known, so that a problem with the declaration is not also one of every use of the type.
pub(crate) fn endpoint_fallback(endpoint: &Endpoint, options: &Options, runtime: &Runtime) -> TokenStream {
    let conditions = &endpoint.conditions;
    let header = header(endpoint, runtime);
    let scope = scope(endpoint, options, runtime);
    let path = options.path.clone().unwrap_or_else(|| LitStr::new("", Span::call_site()));
    let declaration = declaration(endpoint, &path, &Options::default(), runtime);
    quote! {
        #(#conditions)*
        #[automatically_derived]
        #header {
            #scope
            const DECLARATION: #runtime::Declaration = #declaration;
            fn needs(_: &mut #runtime::Needs) {}
            fn create(_: &#runtime::ApplicationContext) -> #runtime::Result<Self> {
                ::core::unreachable!("this does not compile")
            }
        }
    }
}

/// The parameters of `needs` and `create`, which the user's own expressions cannot see.
fn locals() -> [Ident; 2] {
    ["__needs", "__context"].map(|name| Ident::new(name, Span::mixed_site()))
}

/// `impl Declared for Name`, at the name.
fn header(endpoint: &Endpoint, runtime: &Runtime) -> TokenStream {
    let name = &endpoint.name;
    let span = name.span();
    let runtime = runtime.at(span);
    quote_spanned!(span=> impl #runtime::Declared for #name)
}

/// `type Scope = …;`, at the word that says so.
fn scope(endpoint: &Endpoint, options: &Options, runtime: &Runtime) -> TokenStream {
    let (span, scope) = match options.scope {
        Some(Scope::Singleton(span)) => (span, quote_spanned!(span=> Singleton)),
        Some(Scope::Connection(span)) => (span, quote_spanned!(span=> PerConnection)),
        None => (endpoint.name.span(), quote_spanned!(endpoint.name.span()=> PerConnection)),
    };
    let runtime = runtime.at(span);
    quote!(type Scope = #runtime::#scope;)
}

/// `Declaration::new(..)` and a call for each argument.
fn declaration(endpoint: &Endpoint, path: &LitStr, options: &Options, runtime: &Runtime) -> TokenStream {
    let name = endpoint.name.unraw().to_string();
    let place = place(runtime, endpoint.name.span());
    let Options {
        subprotocols,
        max_message_size,
        idle_timeout,
        ping_interval,
        send_buffer,
        overflow,
        origins,
        ..
    } = options;
    let list = |items: &Vec<LitStr>| quote!(&[#(#items),*]);
    let arguments = [
        ("subprotocols", subprotocols.as_ref().map(list)),
        ("max_message_size", max_message_size.as_ref().map(ToTokens::to_token_stream)),
        ("idle_timeout", idle_timeout.as_ref().map(timeout)),
        ("ping_interval", ping_interval.as_ref().map(timeout)),
        ("send_buffer", send_buffer.as_ref().map(ToTokens::to_token_stream)),
        ("overflow", overflow.as_ref().map(|policy| policy_of(&policy.to_string(), runtime))),
        ("origins", origins.as_ref().map(list)),
    ];
    let calls = arguments.into_iter().filter_map(|(method, argument)| {
        let method = Ident::new(method, Span::mixed_site());
        argument.map(|argument| quote!(.#method(#argument)))
    });
    quote! {
        #runtime::Declaration::new(#path, #name, ::core::env!("CARGO_PKG_NAME"), #place) #(#calls)*
    }
}

fn timeout(timeout: &Timeout) -> TokenStream {
    match timeout {
        Timeout::Off => quote!(::core::option::Option::None),
        Timeout::Millis(millis) => quote!(::core::option::Option::Some(#millis)),
    }
}

fn policy_of(word: &str, runtime: &Runtime) -> TokenStream {
    let policy = match word {
        "wait" => quote!(Wait),
        "drop_newest" => quote!(DropNewest),
        "drop_oldest" => quote!(DropOldest),
        _ => quote!(Disconnect),
    };
    quote!(#runtime::Overflow::#policy)
}

fn needs(fields: &[Field], runtime: &Runtime) -> TokenStream {
    let injected = fields.iter().filter(|field| matches!(field.initial, Initial::Inject));
    let [asked, _] = locals();
    injected
        .map(|Field { name, ty, span, conditions, .. }| {
            let needs = ask(&ty.to_token_stream(), &quote!(InjectedField), runtime, "needs");
            let place = place(runtime, *span);
            quote!(#(#conditions)* #needs(#asked, #name, #place);)
        })
        .collect()
}

/// `field: value`
fn initial(field: &Field, runtime: &Runtime) -> TokenStream {
    let Field { member, ty, conditions, .. } = field;
    let ty = ty.to_token_stream();
    let value = match &field.initial {
        Initial::Inject => {
            let inject = ask(&ty, &quote!(InjectedField), runtime, "inject");
            let [_, context] = locals();
            quote!(#inject(#context)?)
        }
        Initial::Expression(expression) => quote!(#expression),
        Initial::Default => {
            let initial = ask(&ty, &quote!(InitialField), runtime, "initial");
            quote!(#initial())
        }
    };
    quote!(#(#conditions)* #member: #value)
}
