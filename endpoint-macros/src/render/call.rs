//! The call of one method: its parameters are made, it is called, and what it returns becomes a reply.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{ask, ask_with, ends, parenthesized, place};
use crate::model::{Borrowed, Event, Handler, Parameter, Receiver, Source, mentions};
use crate::runtime::Runtime;

/// A statement for each parameter that makes its value, or leaves by `otherwise(error)`.
///
/// `data` is what the event carries. What an async method borrows of a message it borrows from a copy: it goes on when the reader's
/// buffer is needed for the next message.
pub(super) fn make(
    handler: &Handler,
    data: &TokenStream,
    otherwise: impl Fn(TokenStream) -> TokenStream,
    runtime: &Runtime,
) -> TokenStream {
    let parameters = handler.parameters.iter().filter(|parameter| !matches!(parameter.source, Source::Error));
    parameters
        .map(|parameter| {
            let local = &parameter.local;
            let (function, argument) = match &parameter.source {
                Source::Path(name, _) | Source::Query(name) => ("take", quote!(#name)),
                Source::Value => ("take", data.clone()),
                Source::Reference(_) | Source::Error => ("hold", data.clone()),
            };
            let function = asked(handler, parameter, runtime, function);
            let arguments = parenthesized(quote!(__context, #argument), ends(&parameter.ty)[1]);
            let made = quote!(#function #arguments);
            let failed = otherwise(quote!(#runtime::failed(error)));
            quote! {
                let #local = match #made {
                    ::core::result::Result::Ok(value) => value,
                    ::core::result::Result::Err(error) => #failed,
                };
            }
        })
        .collect()
}

/// The function of that name of the trait by which this parameter is made.
pub(super) fn asked(
    handler: &Handler,
    parameter: &Parameter,
    runtime: &Runtime,
    function: &str,
) -> TokenStream {
    let event = event_type(handler.event);
    let is_kept = handler.is_async && handler.event == Event::Message;
    let ends = ends(&parameter.ty);
    let copied = |ty| {
        let runtime = runtime.at(ends[0]);
        quote_spanned!(ends[0]=> #runtime::#ty)
    };
    let argument = quote!(RefArgument<#runtime::#event, _>);
    match parameter.source {
        Source::Path(..) => ask(&parameter.ty, &quote!(SegmentArgument<_>), runtime, function),
        Source::Query(_) => ask(&parameter.ty, &quote!(QueryArgument<_>), runtime, function),
        Source::Value => ask(&parameter.ty, &quote!(Argument<#runtime::#event, _>), runtime, function),
        Source::Reference(Borrowed::Text) if is_kept => {
            ask(&copied(quote!(Text)), &argument, runtime, function)
        }
        Source::Reference(Borrowed::Bytes) if is_kept => {
            ask(&copied(quote!(Bytes)), &argument, runtime, function)
        }
        Source::Reference(_) => ask(&parameter.ty, &argument, runtime, function),
        Source::Error => ask(&parameter.ty, &quote!(Caught), runtime, function),
    }
}

fn event_type(event: Event) -> TokenStream {
    match event {
        Event::Open => quote!(OnOpen),
        Event::Message => quote!(OnMessage),
        Event::Close => quote!(OnClose),
        Event::Error => quote!(OnError),
    }
}

/// The parameter of the dispatch that is the instance, as seen from `place`.
///
/// All these are one name, whatever macros the places are in: they mean what they would mean at the type.
pub(super) fn instance(place: Span, self_type: &TokenStream) -> Ident {
    Ident::new("__this", place.resolved_at(ends(self_type)[0]))
}

/// The call, and the reply that becomes of it.
pub(super) fn call(handler: &Handler, self_type: &TokenStream, runtime: &Runtime) -> TokenStream {
    let name = &handler.name;
    let receiver = match handler.receiver {
        Receiver::None => None,
        Receiver::Shared => {
            let span = name.span();
            let (at, this) = (runtime.at(span), instance(span, self_type));
            Some(quote_spanned!(span=> #at::shared::<Self>(#this)))
        }
        Receiver::Exclusive([first, last]) => {
            let (at, this) = (runtime.at(first), instance(last, self_type));
            let (held, rest) = (quote_spanned!(first=> #at::Held), quote_spanned!(last=> <Self>));
            let (ty, of) = (quote!(#held #rest), quote!(HeldExclusively<Self>));
            Some(ask_with(&ty, &of, runtime, "exclusive", quote!(#this)))
        }
    };
    let arguments = receiver.into_iter().chain(handler.parameters.iter().map(|parameter| {
        let local = &parameter.local;
        match parameter.source {
            Source::Reference(_) => quote!(#runtime::lend(&#local)),
            _ => quote!(#local),
        }
    }));
    let wait = handler.is_async.then(|| quote!(.await));
    let called = quote!(#self_type::#name(#(#arguments),*) #wait);
    reply(handler, called, runtime)
}

fn reply(handler: &Handler, called: TokenStream, runtime: &Runtime) -> TokenStream {
    // What is sent may be the business of the endpoint's encoders, which the session knows.
    let (of, function, context) = match handler.event {
        Event::Close => (quote!(Completion), "into_reply", None),
        _ => (quote!(IntoReply), "reply", Some(quote!(, __context))),
    };
    match &handler.returns {
        None => {
            let span = handler.name.span().resolved_at(Span::mixed_site());
            ask_with(&quote_spanned!(span=> ()), &of, runtime, function, quote!(#called #context))
        }
        // A type that has no name can only be shown, not written.
        Some(returns) if mentions(returns.clone(), "impl") => {
            let [first, _] = ends(returns);
            let returned = Ident::new("__returned", first);
            let function = Ident::new(function, Span::call_site());
            quote!({
                let #returned = #called;
                #runtime::#of::#function(#returned #context)
            })
        }
        Some(returns) => ask_with(returns, &of, runtime, function, quote!(#called #context)),
    }
}

/// What one parameter asks of the application.
pub(super) fn needs(handler: &Handler, parameter: &Parameter, runtime: &Runtime) -> Option<TokenStream> {
    if !is_judged_by_type(parameter) {
        return None;
    }
    let needs = asked(handler, parameter, runtime, "needs");
    let place = place(runtime, parameter.span);
    let name = &parameter.name;
    Some(quote!(#needs(#runtime::Needs::asked_by(__needs, #name, #place));))
}

/// What one parameter asks of the opening handshake.
pub(super) fn admit(handler: &Handler, parameter: &Parameter, runtime: &Runtime) -> Option<TokenStream> {
    let admit = asked(handler, parameter, runtime, "admit");
    match &parameter.source {
        Source::Path(name, _) | Source::Query(name) => Some(quote!(#admit(__handshake, #name)?;)),
        Source::Value | Source::Reference(_) => Some(quote!(#admit(__handshake)?;)),
        Source::Error => None,
    }
}

/// Whether the parameter's type alone says where its value comes from.
pub(super) fn is_judged_by_type(parameter: &Parameter) -> bool {
    matches!(parameter.source, Source::Value | Source::Reference(_))
}
