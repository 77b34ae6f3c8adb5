//! What `#[handlers]` generates: a dispatch for each kind of event, and the checks that need types.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Attribute;

use super::call::{admit, asked, call, instance, is_judged_by_type, make, needs};
use super::{ask_with, braced, ends, parenthesized};
use crate::model::{Event, Handler, Handlers, Parameter, Source};
use crate::runtime::Runtime;

/// The implementation of `Handlers`, and the checks beside it.
pub(crate) fn handlers(handlers: &Handlers, runtime: &Runtime) -> TokenStream {
    let conditions = &handlers.conditions;
    let header = header(handlers, runtime);
    let functions = [
        intake(handlers, runtime),
        needs_of_all(handlers, runtime),
        admission(handlers, runtime),
        Some(lifecycle(handlers, Event::Open, runtime)),
        messages_at_once(handlers, runtime),
        messages(handlers, runtime),
        Some(lifecycle(handlers, Event::Close, runtime)),
        errors(handlers, runtime),
    ];
    let checks = [paths(handlers, runtime), one_for_each_error(handlers, runtime)];
    let body = braced(quote!(#(#functions)*), ends(&handlers.self_type)[1]);
    let is_deprecated = handlers.handlers.iter().any(|handler| handler.is_deprecated);
    let allowed = is_deprecated.then(|| quote!(#[allow(deprecated)]));
    let implementation = quote!(#[automatically_derived] #allowed #header #body);
    let implementation = match kinds(handlers, runtime) {
        None => quote!(#(#conditions)* #implementation),
        Some(kinds) => quote!(#(#conditions)* const _: () = { #kinds #implementation };),
    };
    quote! {
        #implementation
        #(#checks)*
    }
}

/// An implementation without handlers, so that a problem with one method is not also one of the whole type.
pub(crate) fn handlers_fallback(handlers: &Handlers, runtime: &Runtime) -> TokenStream {
    let conditions = &handlers.conditions;
    let header = header(handlers, runtime);
    let body = braced(TokenStream::new(), ends(&handlers.self_type)[1]);
    quote!(#(#conditions)* #[automatically_derived] #header #body)
}

/// `impl Handlers for Type`, at the user's `impl Type`.
fn header(handlers: &Handlers, runtime: &Runtime) -> TokenStream {
    let (impl_token, self_type) = (handlers.impl_token, &handlers.self_type);
    let span = impl_token.span;
    let runtime = runtime.at(span);
    let of = quote_spanned!(span=> #runtime::Handlers for);
    quote!(#impl_token #of #self_type)
}

/// `fn needs`: what the parameters ask of the application.
fn needs_of_all(handlers: &Handlers, runtime: &Runtime) -> Option<TokenStream> {
    let statements = for_each_parameter(handlers, |handler, parameter| needs(handler, parameter, runtime))?;
    Some(quote! {
        fn needs(__needs: &mut #runtime::Needs) {
            #statements
        }
    })
}

/// `fn admit`: what the parameters ask of the opening handshake. The same type asks once.
fn admission(handlers: &Handlers, runtime: &Runtime) -> Option<TokenStream> {
    let mut asked = HashSet::new();
    let statements = for_each_parameter(handlers, |handler, parameter| {
        let statement = admit(handler, parameter, runtime)?;
        let conditions = &handler.conditions;
        asked.insert(quote!(#(#conditions)* #statement).to_string()).then_some(statement)
    })?;
    Some(quote! {
        fn admit(__handshake: &#runtime::Handshake) -> ::core::result::Result<(), #runtime::Refusal> {
            #statements
            ::core::result::Result::Ok(())
        }
    })
}

/// The statements for all parameters, if there are any, each under the conditions of its method.
fn for_each_parameter(
    handlers: &Handlers,
    mut statement: impl FnMut(&Handler, &Parameter) -> Option<TokenStream>,
) -> Option<TokenStream> {
    let mut all = TokenStream::new();
    for handler in &handlers.handlers {
        let statements: TokenStream =
            handler.parameters.iter().filter_map(|parameter| statement(handler, parameter)).collect();
        if !statements.is_empty() {
            all.extend(under(&handler.conditions, statements));
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Statements that exist under conditions.
fn under(conditions: &[Attribute], statements: TokenStream) -> TokenStream {
    if conditions.is_empty() { statements } else { quote!(#(#conditions)* { #statements }) }
}

/// `fn open` or `fn close`.
fn lifecycle(handlers: &Handlers, event: Event, runtime: &Runtime) -> TokenStream {
    handlers.of(event).map(|handler| lifecycle_of(handler, &handlers.self_type, runtime)).collect()
}

fn lifecycle_of(handler: &Handler, self_type: &TokenStream, runtime: &Runtime) -> TokenStream {
    let span = handler.name.span();
    let at = runtime.at(span);
    let reason = quote!(__reason);
    let (function, reason, data) = match handler.event {
        Event::Close => (
            quote_spanned!(span=> close),
            quote_spanned!(span=> , #reason: &'a #at::CloseReason),
            quote!(&mut &*__reason),
        ),
        _ => (quote_spanned!(span=> open), TokenStream::new(), quote!(&mut ())),
    };
    let made = make(handler, &data, |failed| quote!(return #failed), runtime);
    let reply = call(handler, self_type, runtime);
    let conditions = &handler.conditions;
    let (this, context) = (instance(span, self_type), quote!(__context));
    let signature = quote_spanned! {span=>
        async fn #function<'a>(#this: &'a mut #at::Held<Self>, #context: #at::Context<'a> #reason) -> #at::Reply
    };
    let body = braced(quote!(#made #reply), span);
    quote!(#(#conditions)* #signature #body)
}

/// The `#[on_message]` methods that wait, or those that do not, each with its number.
fn message_methods(handlers: &Handlers, that_wait: bool) -> Vec<(usize, &Handler)> {
    let methods = handlers.of(Event::Message).enumerate();
    methods.filter(|(_, handler)| handler.is_async == that_wait).collect()
}

/// Where the compiler points when it means the whole of a function: at its only method, or at the type if it has several. It says
/// itself which of them.
fn place_of(methods: &[(usize, &Handler)], handlers: &Handlers) -> Span {
    match methods {
        [(_, one)] => one.name.span(),
        _ => ends(&handlers.self_type)[0],
    }
}

/// `fn message_at_once`: finds the method for a message among those that are no `async fn`, and calls it while the message still lies in the
/// reader's buffer.
fn messages_at_once(handlers: &Handlers, runtime: &Runtime) -> Option<TokenStream> {
    let methods = message_methods(handlers, false);
    let (_, first) = methods.first()?;
    let leave = |reply: TokenStream| quote!(return ::core::option::Option::Some(#reply));
    let branches = methods.iter().map(|(index, handler)| {
        let called = leave(call(handler, &handlers.self_type, runtime));
        branch(*index, handler, &quote!(&mut *__message), leave, &called, runtime)
    });
    let span = first.name.span();
    let at = runtime.at(span);
    let this = instance(span, &handlers.self_type);
    let [context, message] = [quote!(__context), quote!(__message)];
    let signature = quote_spanned! {span=>
        fn message_at_once<'a>(
            #this: &'a mut #at::Held<Self>,
            #context: #at::Context<'a>,
            #message: &mut #at::Slot<'_>,
        ) -> ::core::option::Option<#at::Reply>
    };
    let body = braced(quote!(#(#branches)* ::core::option::Option::None), span);
    Some(quote!(#signature #body))
}

/// `fn message`: finds the method for a message among those that wait, makes its parameters while the message still lies in the reader's
/// buffer, and calls it in the future.
fn messages(handlers: &Handlers, runtime: &Runtime) -> Option<TokenStream> {
    let methods = message_methods(handlers, true);
    methods.first()?;
    let span = place_of(&methods, handlers);
    let choice = choice(&methods, handlers, runtime);
    let at = runtime.at(span);
    let this = instance(span, &handlers.self_type);
    let [context, message] = [quote!(__context), quote!(__message)];
    let signature = quote_spanned! {span=>
        fn message<'a>(
            #this: &'a mut #at::Held<Self>,
            #context: #at::Context<'a>,
            mut #message: #at::Slot<'_>,
        ) -> impl ::core::future::Future<Output = #at::Reply> + ::core::marker::Send + use<'a>
    };
    let body = braced(choice, span);
    Some(quote!(#signature #body))
}

/// Which messages each method takes, as constants, and the checks of them, which point at the method. `None` if there is no method.
fn kinds(handlers: &Handlers, runtime: &Runtime) -> Option<TokenStream> {
    let mut earlier = TokenStream::new();
    let mut constants = TokenStream::new();
    for (index, handler) in handlers.of(Event::Message).enumerate() {
        let conditions = &handler.conditions;
        let kinds = kinds_name(index);
        let span = handler.name.span();
        let at = runtime.at(span);
        let of_parameters = handler
            .parameters
            .iter()
            .filter(|parameter| is_judged_by_type(parameter))
            .map(|parameter| asked(handler, parameter, runtime, "KIND"));
        let one_message = quote_spanned!(span=> #at::takes_one_message(#kinds));
        let only_one = quote_spanned!(span=> #at::only_one_takes(&[#earlier], #kinds));
        constants.extend(quote! {
            #(#conditions)*
            const #kinds: &[::core::option::Option<#runtime::Kind>] = &[#(#of_parameters),*];
            #(#conditions)*
            const _: () = #one_message;
        });
        if !earlier.is_empty() {
            constants.extend(quote!(#(#conditions)* const _: () = #only_one;));
        }
        if let Some(max_size) = &handler.max_size {
            let (name, sized) = (max_name(index), sized(index, max_size, runtime));
            constants.extend(quote! {
                #(#conditions)*
                const #name: ::core::primitive::usize = #max_size;
                #(#conditions)*
                const _: () = #sized;
            });
        }
        if let Some(role) = handler.require.as_ref().and_then(|roles| roles.first()) {
            let (self_type, at) = (&handlers.self_type, runtime.at(role.span()));
            let can_require = quote_spanned!(role.span()=> #at::can_require::<#self_type>());
            constants.extend(quote!(#(#conditions)* const _: () = #can_require;));
        }
        earlier.extend(quote!(#(#conditions)* #kinds,));
    }
    (!constants.is_empty()).then_some(constants)
}

/// The check of `max_size`, which points at its value.
fn sized(index: usize, max_size: &TokenStream, runtime: &Runtime) -> TokenStream {
    let [first, last] = ends(max_size);
    let (kinds, max_size) = (kinds_name(index), max_name(index));
    let at = runtime.at(first);
    let function = quote_spanned!(first=> #at::takes_up_to);
    let arguments = parenthesized(quote!(#kinds, #max_size), last);
    quote!(#function #arguments)
}

/// `const INTAKE`: what the methods take, in which form, and how large.
fn intake(handlers: &Handlers, runtime: &Runtime) -> Option<TokenStream> {
    let intake = Ident::new("intake", Span::mixed_site());
    let mut methods = TokenStream::new();
    for (index, handler) in handlers.of(Event::Message).enumerate() {
        let (conditions, kinds) = (&handler.conditions, kinds_name(index));
        let max_size = match &handler.max_size {
            Some(_) => {
                let max_size = max_name(index);
                quote!(::core::option::Option::Some(#max_size))
            }
            None => quote!(::core::option::Option::None),
        };
        // Where it fails, it is about this method.
        let method = Ident::new("method", handler.name.span());
        methods.extend(quote!(#(#conditions)* let #intake = #intake.#method(#kinds, #max_size);));
    }
    (!methods.is_empty()).then(|| {
        quote! {
            const INTAKE: #runtime::Intake = {
                let #intake = #runtime::Intake::NONE;
                #methods
                #intake
            };
        }
    })
}

fn kinds_name(index: usize) -> Ident {
    format_ident!("__KINDS_{index}", span = Span::mixed_site())
}

fn max_name(index: usize) -> Ident {
    format_ident!("__MAX_{index}", span = Span::mixed_site())
}

fn variant_name(index: usize) -> Ident {
    format_ident!("Method{index}", span = Span::mixed_site())
}

/// If the message is of this method's kind: its parameters are made of what `data` borrows, and it is `called`.
fn branch(
    index: usize,
    handler: &Handler,
    data: &TokenStream,
    leave: impl Fn(TokenStream) -> TokenStream,
    called: &TokenStream,
    runtime: &Runtime,
) -> TokenStream {
    let (conditions, kinds) = (&handler.conditions, kinds_name(index));
    let guard = handler.require.as_ref().map(|roles| {
        let left = leave(quote!(refused));
        quote! {
            if let ::core::option::Option::Some(refused) = #runtime::forbids(__context, &[#(#roles),*]) {
                #left;
            }
        }
    });
    let made = make(handler, data, leave, runtime);
    quote! {
        #(#conditions)*
        if #runtime::takes(&__message, #kinds) {
            #guard
            #made
            #called;
        }
    }
}

/// The future that `fn message` returns.
fn choice(methods: &[(usize, &Handler)], handlers: &Handlers, runtime: &Runtime) -> TokenStream {
    let [mut branches, mut generics, mut variants, mut arms]: [_; 4] =
        std::array::from_fn(|_| TokenStream::new());
    for (index, handler) in methods {
        let conditions = &handler.conditions;
        let (variant, parameters) = (variant_name(*index), format_ident!("P{index}"));
        let locals = handler.parameters.iter().map(|parameter| &parameter.local);
        let locals = quote!((#(#locals,)*));
        let leave = |reply: TokenStream| quote!(break 'call __Call::Done(#reply));
        let called = quote!(break 'call __Call::#variant(#locals));
        branches.extend(branch(*index, handler, &quote!(&mut __message), leave, &called, runtime));
        let reply = call(handler, &handlers.self_type, runtime);
        generics.extend(quote!(#(#conditions)* #parameters,));
        variants.extend(quote!(#(#conditions)* #variant(#parameters),));
        arms.extend(quote!(#(#conditions)* __Call::#variant(#locals) => #reply,));
    }
    quote! {
        enum __Call<#generics> {
            Done(#runtime::Reply),
            #variants
        }
        let __call = 'call: {
            #branches
            __Call::Done(#runtime::Reply::Unhandled)
        };
        async move {
            match __call {
                __Call::Done(reply) => reply,
                #arms
            }
        }
    }
}

/// `fn error`: finds the method for an error. First those for one type of error are asked, then those for any.
fn errors(handlers: &Handlers, runtime: &Runtime) -> Option<TokenStream> {
    let methods: Vec<_> = handlers.of(Event::Error).collect();
    let waiting: Vec<_> = methods.iter().filter(|handler| handler.is_async).collect();
    let span = match waiting[..] {
        [] => methods.first()?.name.span(),
        [one] => one.name.span(),
        _ => ends(&handlers.self_type)[0],
    };
    let branches = methods.iter().map(|handler| error_branch(handler, &handlers.self_type, runtime));
    let at = runtime.at(span);
    let this = instance(span, &handlers.self_type);
    let [context, error] = [quote!(__context), quote!(__error)];
    let signature = quote_spanned! {span=>
        async fn error<'a>(
            #this: &'a mut #at::Held<Self>,
            #context: #at::Context<'a>,
            #error: &'a #at::Error,
        ) -> #at::Reply
    };
    let body = quote! {
        for __last in [false, true] {
            #(#branches)*
        }
        #runtime::Reply::Unhandled
    };
    let body = braced(body, span);
    Some(quote!(#signature #body))
}

fn error_branch(handler: &Handler, self_type: &TokenStream, runtime: &Runtime) -> Option<TokenStream> {
    let error = handler.parameters.iter().find(|parameter| matches!(parameter.source, Source::Error))?;
    let local = &error.local;
    let caught = ask_with(&error.ty, &quote!(Caught), runtime, "caught", quote!(__error, __last));
    let made = make(handler, &quote!(&mut ()), |failed| quote!(return #failed), runtime);
    let reply = call(handler, self_type, runtime);
    let conditions = &handler.conditions;
    Some(quote! {
        #(#conditions)*
        if let ::core::option::Option::Some(#local) = #caught {
            #made
            return #reply;
        }
    })
}

/// Each `#[path]` parameter names a variable of the path: checked at the name.
fn paths(handlers: &Handlers, runtime: &Runtime) -> TokenStream {
    let self_type = &handlers.self_type;
    let mut checks = TokenStream::new();
    for handler in &handlers.handlers {
        for parameter in &handler.parameters {
            let Source::Path(name, span) = &parameter.source else { continue };
            let conditions = handlers.conditions.iter().chain(&handler.conditions);
            let at = runtime.at(*span);
            let check = quote_spanned!(*span=> #at::path_has::<#self_type>(#name));
            checks.extend(quote!(#(#conditions)* const _: () = #check;));
        }
    }
    checks
}

/// One method for each type of error: two would implement the same trait twice.
fn one_for_each_error(handlers: &Handlers, runtime: &Runtime) -> TokenStream {
    let self_type = &handlers.self_type;
    let mut checks = TokenStream::new();
    for handler in handlers.of(Event::Error) {
        for parameter in
            handler.parameters.iter().filter(|parameter| matches!(parameter.source, Source::Error))
        {
            let conditions = handlers.conditions.iter().chain(&handler.conditions);
            let ty = &parameter.ty;
            let [first, last] = ends(ty);
            let at = runtime.at(first);
            let open = quote_spanned!(first=> impl #at::OnlyOneOnErrorMethodFor<);
            let close = quote_spanned!(last=> > for);
            let block = quote_spanned!(last=> {});
            checks.extend(quote!(#(#conditions)* #open #ty #close #self_type #block));
        }
    }
    checks
}
