/// Says it back, reversed.
struct Reverse;
#[automatically_derived]
impl ::endpoint_runtime::__private::Declared for Reverse {
    type Scope = ::endpoint_runtime::__private::PerConnection;
    const DECLARATION: ::endpoint_runtime::__private::Declaration = ::endpoint_runtime::__private::Declaration::new(
        "/reverse",
        "Reverse",
        ::core::env!("CARGO_PKG_NAME"),
        ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
    );
}
#[automatically_derived]
impl ::endpoint_runtime::__private::ServerDeclared for Reverse {
    fn create(
        __context: &::endpoint_runtime::__private::ApplicationContext,
    ) -> ::endpoint_runtime::__private::Result<Self> {
        ::core::result::Result::Ok(Self {})
    }
}
const _: () = {
    ::endpoint_runtime::__private::submit! {
        ::endpoint_runtime::__private::Registration::of:: < Reverse > ()
    }
};
impl Reverse {
    fn reverse(&self, text: String) -> String {
        text.chars().rev().collect()
    }
}
const _: () = {
    const __KINDS_0: &[::core::option::Option<::endpoint_runtime::__private::Kind>] = &[
        <String as ::endpoint_runtime::__private::Argument<
            ::endpoint_runtime::__private::OnMessage,
            _,
        >>::KIND,
    ];
    const _: () = ::endpoint_runtime::__private::takes_one_message(__KINDS_0);
    #[automatically_derived]
    impl ::endpoint_runtime::__private::Handlers for Reverse {
        const INTAKE: ::endpoint_runtime::__private::Intake = {
            let intake = ::endpoint_runtime::__private::Intake::NONE;
            let intake = intake.method(__KINDS_0, ::core::option::Option::None);
            intake
        };
        fn needs(__needs: &mut ::endpoint_runtime::__private::Needs) {
            <String as ::endpoint_runtime::__private::Argument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::needs(
                ::endpoint_runtime::__private::Needs::asked_by(
                    __needs,
                    "text",
                    ::endpoint_runtime::__private::Place::new(
                        ::core::file!(),
                        ::core::line!(),
                    ),
                ),
            );
        }
        fn admit(
            __handshake: &::endpoint_runtime::__private::Handshake,
        ) -> ::core::result::Result<(), ::endpoint_runtime::__private::Refusal> {
            <String as ::endpoint_runtime::__private::Argument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::admit(__handshake)?;
            ::core::result::Result::Ok(())
        }
        fn message_at_once<'a>(
            __this: &'a mut ::endpoint_runtime::__private::Held<Self>,
            __context: ::endpoint_runtime::__private::Context<'a>,
            __message: &mut ::endpoint_runtime::__private::Slot<'_>,
        ) -> ::core::option::Option<::endpoint_runtime::__private::Reply> {
            if ::endpoint_runtime::__private::takes(&__message, __KINDS_0) {
                let text = match <String as ::endpoint_runtime::__private::Argument<
                    ::endpoint_runtime::__private::OnMessage,
                    _,
                >>::take(__context, &mut *__message) {
                    ::core::result::Result::Ok(value) => value,
                    ::core::result::Result::Err(error) => {
                        return ::core::option::Option::Some(
                            ::endpoint_runtime::__private::failed(error),
                        );
                    }
                };
                return ::core::option::Option::Some(
                    <String as ::endpoint_runtime::__private::IntoReply>::reply(
                        Reverse::reverse(
                            ::endpoint_runtime::__private::shared::<Self>(__this),
                            text,
                        ),
                        __context,
                    ),
                );
            }
            ::core::option::Option::None
        }
    }
};
