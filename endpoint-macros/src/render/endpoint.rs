//! What `#[server_endpoint]` and `#[client_endpoint]` generate: the declaration, and for a server the way an instance is made and the
//! registration.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{LitStr, Type};

use super::wanted::{context_local, needs, value};
use super::{ask, ask_with, place};
use crate::model::{Endpoint, Field, Options, Recover, Scope, Side, Timeout};
use crate::runtime::Runtime;

/// The implementations of `Declared`, and of `ServerDeclared` with the registration or of `ClientDeclared`.
pub(crate) fn endpoint(endpoint: &Endpoint, options: &Options, runtime: &Runtime) -> TokenStream {
    let Endpoint { name, conditions, .. } = endpoint;
    let coders = coders(options, runtime);
    let declared = declared(endpoint, options, coders, runtime);
    let made = match options.side {
        Side::Server => created(endpoint, options, runtime),
        Side::Client => client(endpoint, runtime),
    };
    let registration = (options.side == Side::Server).then(|| {
        quote! {
            #(#conditions)*
            const _: () = {
                #runtime::submit! { #runtime::Registration::of::<#name>() }
            };
        }
    });
    quote!(#declared #made #registration)
}

/// Implementations that say as much as is known, so that a problem with the declaration is not also one of every use of the type.
pub(crate) fn endpoint_fallback(endpoint: &Endpoint, options: Options, runtime: &Runtime) -> TokenStream {
    let conditions = &endpoint.conditions;
    let known = Options { path: options.path, scope: options.scope, ..Options::none(options.side) };
    let declared = declared(endpoint, &known, None, runtime);
    let made = match known.side {
        Side::Server => {
            let header = header(endpoint, "ServerDeclared", runtime);
            quote! {
                #(#conditions)*
                #[automatically_derived]
                #header {
                    fn create(_: &#runtime::ApplicationContext) -> #runtime::Result<Self> {
                        ::core::unreachable!("this does not compile")
                    }
                }
            }
        }
        Side::Client => client(endpoint, runtime),
    };
    quote!(#declared #made)
}

/// `impl Declared`
fn declared(
    endpoint: &Endpoint,
    options: &Options,
    coders: Option<TokenStream>,
    runtime: &Runtime,
) -> TokenStream {
    let conditions = &endpoint.conditions;
    let header = header(endpoint, "Declared", runtime);
    let scope = scope(endpoint, options, runtime);
    let declaration = declaration(endpoint, options, runtime);
    quote! {
        #(#conditions)*
        #[automatically_derived]
        #header {
            #scope
            const DECLARATION: #runtime::Declaration = #declaration;
            #coders
        }
    }
}

/// `impl ServerDeclared`
fn created(endpoint: &Endpoint, options: &Options, runtime: &Runtime) -> TokenStream {
    let Endpoint { conditions, fields, .. } = endpoint;
    let header = header(endpoint, "ServerDeclared", runtime);
    let context = context_local();
    let needs = needs(fields.iter().map(|field| &field.wanted), runtime);
    let initials = fields.iter().map(|field| initial(field, runtime));
    let configurator = options.configurator.as_ref().map(|ty| configurator(ty, runtime));
    quote! {
        #(#conditions)*
        #[automatically_derived]
        #header {
            #needs

            fn create(#context: &#runtime::ApplicationContext) -> #runtime::Result<Self> {
                ::core::result::Result::Ok(Self { #(#initials,)* })
            }

            #configurator
        }
    }
}

/// `impl ClientDeclared`
fn client(endpoint: &Endpoint, runtime: &Runtime) -> TokenStream {
    let conditions = &endpoint.conditions;
    let header = header(endpoint, "ClientDeclared", runtime);
    quote!(#(#conditions)* #[automatically_derived] #header {})
}

/// `fn coders`, if there are any: the list, in its order.
fn coders(options: &Options, runtime: &Runtime) -> Option<TokenStream> {
    let list = Ident::new("coders", Span::mixed_site());
    let of = |types: &[Type], role: &str| -> TokenStream {
        let role = Ident::new(role, Span::mixed_site()).into_token_stream();
        let listed = types.iter().map(|ty| {
            let listed = ask_with(&ty.to_token_stream(), &role, runtime, "listed_in", quote!(#list));
            quote!(let #list = #listed;)
        });
        listed.collect()
    };
    let (decoders, encoders) = (of(&options.decoders, "DecoderType"), of(&options.encoders, "EncoderType"));
    let is_empty = decoders.is_empty() && encoders.is_empty();
    (!is_empty).then(|| {
        quote! {
            fn coders() -> #runtime::Coders {
                let #list = #runtime::Coders::none();
                #decoders
                #encoders
                #list
            }
        }
    })
}

/// `fn configurator`
fn configurator(ty: &Type, runtime: &Runtime) -> TokenStream {
    let shared = ask(&ty.to_token_stream(), &quote!(ConfiguratorType), runtime, "shared");
    quote! {
        fn configurator() -> ::core::option::Option<#runtime::Arc<dyn #runtime::AnyConfigurator>> {
            ::core::option::Option::Some(#shared())
        }
    }
}

/// `impl Trait for Name`, at the name.
fn header(endpoint: &Endpoint, of: &str, runtime: &Runtime) -> TokenStream {
    let name = &endpoint.name;
    let span = name.span();
    let (runtime, of) = (runtime.at(span), Ident::new(of, span));
    quote_spanned!(span=> impl #runtime::#of for #name)
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

/// `Declaration::new(..)` or `client(..)`, and a call for each argument.
fn declaration(endpoint: &Endpoint, options: &Options, runtime: &Runtime) -> TokenStream {
    let name = endpoint.name.unraw().to_string();
    let place = place(runtime, endpoint.name.span());
    let of = quote!(#name, ::core::env!("CARGO_PKG_NAME"), #place);
    let declaration = match (options.side, &options.path) {
        (Side::Server, Some(path)) => quote!(new(#path, #of)),
        // Beside a problem.
        (Side::Server, None) => quote!(new("", #of)),
        (Side::Client, _) => quote!(client(#of)),
    };
    let Options {
        subprotocols,
        max_message_size,
        idle_timeout,
        ping_interval,
        send_buffer,
        overflow,
        compression,
        resume,
        origins,
        require_subprotocol,
        require,
        recover,
        presence,
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
        ("compression", compression.as_ref().map(|word| compression_of(&word.to_string(), runtime))),
        ("resume", resume.as_ref().map(ToTokens::to_token_stream)),
        ("origins", origins.as_ref().map(list)),
        ("require_subprotocol", require_subprotocol.as_ref().map(ToTokens::to_token_stream)),
        ("require", require.as_ref().map(list)),
        ("recover", recover.as_ref().map(recovery)),
        ("presence", presence.then(TokenStream::new)),
    ];
    let calls = arguments.into_iter().filter_map(|(method, argument)| {
        let method = Ident::new(method, Span::mixed_site());
        argument.map(|argument| quote!(.#method(#argument)))
    });
    quote!(#runtime::Declaration::#declaration #(#calls)*)
}

fn timeout(timeout: &Timeout) -> TokenStream {
    match timeout {
        Timeout::Off => quote!(::core::option::Option::None),
        Timeout::Millis(millis) => quote!(::core::option::Option::Some(#millis)),
    }
}

/// How many messages, for how many milliseconds, of which rooms.
fn recovery(recover: &Recover) -> TokenStream {
    let size = recover.size.as_ref().map_or_else(|| quote!(1), ToTokens::to_token_stream);
    let ttl = recover.ttl.unwrap_or(1);
    let rooms = recover.rooms.as_ref().map_or_else(|| quote!("*"), ToTokens::to_token_stream);
    quote!(#size, #ttl, #rooms)
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

fn compression_of(word: &str, runtime: &Runtime) -> TokenStream {
    let compression = match word {
        "context" => quote!(Context),
        "off" => quote!(Off),
        _ => quote!(On),
    };
    quote!(#runtime::Compression::#compression)
}

/// `field: value`
pub(super) fn initial(field: &Field, runtime: &Runtime) -> TokenStream {
    let (member, conditions) = (&field.member, &field.wanted.conditions);
    let value = value(&field.wanted, runtime);
    quote!(#(#conditions)* #member: #value)
}
