/// For those who may read, and some of it for those who may write.
struct Board;
#[automatically_derived]
impl ::endpoint_runtime::__private::Declared for Board {
    type Scope = ::endpoint_runtime::__private::PerConnection;
    const DECLARATION: ::endpoint_runtime::__private::Declaration = ::endpoint_runtime::__private::Declaration::new(
            "/board",
            "Board",
            ::core::env!("CARGO_PKG_NAME"),
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
        )
        .require(&["reader", "writer"]);
}
#[automatically_derived]
impl ::endpoint_runtime::__private::ServerDeclared for Board {
    fn create(
        __context: &::endpoint_runtime::__private::ApplicationContext,
    ) -> ::endpoint_runtime::__private::Result<Self> {
        ::core::result::Result::Ok(Self {})
    }
}
const _: () = {
    ::endpoint_runtime::__private::submit! {
        ::endpoint_runtime::__private::Registration::of:: < Board > ()
    }
};
impl Board {
    fn write(&self, text: String) -> String {
        text
    }
    async fn paint(&self, bytes: Bytes) {}
}
const _: () = {
    const __KINDS_0: &[::core::option::Option<::endpoint_runtime::__private::Kind>] = &[
        <String as ::endpoint_runtime::__private::Argument<
            ::endpoint_runtime::__private::OnMessage,
            _,
        >>::KIND,
    ];
    const _: () = ::endpoint_runtime::__private::takes_one_message(__KINDS_0);
    const _: () = ::endpoint_runtime::__private::can_require::<Board>();
    const __KINDS_1: &[::core::option::Option<::endpoint_runtime::__private::Kind>] = &[
        <Bytes as ::endpoint_runtime::__private::Argument<
            ::endpoint_runtime::__private::OnMessage,
            _,
        >>::KIND,
    ];
    const _: () = ::endpoint_runtime::__private::takes_one_message(__KINDS_1);
    const _: () = ::endpoint_runtime::__private::only_one_takes(&[__KINDS_0], __KINDS_1);
    const __MAX_1: ::core::primitive::usize = 64;
    const _: () = ::endpoint_runtime::__private::takes_up_to(__KINDS_1, __MAX_1);
    const _: () = ::endpoint_runtime::__private::can_require::<Board>();
    #[automatically_derived]
    impl ::endpoint_runtime::__private::Handlers for Board {
        const INTAKE: ::endpoint_runtime::__private::Intake = {
            let intake = ::endpoint_runtime::__private::Intake::NONE;
            let intake = intake.method(__KINDS_0, ::core::option::Option::None);
            let intake = intake.method(__KINDS_1, ::core::option::Option::Some(__MAX_1));
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
            <Bytes as ::endpoint_runtime::__private::Argument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::needs(
                ::endpoint_runtime::__private::Needs::asked_by(
                    __needs,
                    "bytes",
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
            <Bytes as ::endpoint_runtime::__private::Argument<
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
                if let ::core::option::Option::Some(refused) = ::endpoint_runtime::__private::forbids(
                    __context,
                    &["writer"],
                ) {
                    return ::core::option::Option::Some(refused);
                }
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
                        Board::write(
                            ::endpoint_runtime::__private::shared::<Self>(__this),
                            text,
                        ),
                        __context,
                    ),
                );
            }
            ::core::option::Option::None
        }
        fn message<'a>(
            __this: &'a mut ::endpoint_runtime::__private::Held<Self>,
            __context: ::endpoint_runtime::__private::Context<'a>,
            mut __message: ::endpoint_runtime::__private::Slot<'_>,
        ) -> impl ::core::future::Future<
            Output = ::endpoint_runtime::__private::Reply,
        > + ::core::marker::Send + use<'a> {
            enum __Call<P1> {
                Done(::endpoint_runtime::__private::Reply),
                Method1(P1),
            }
            let __call = 'call: {
                if ::endpoint_runtime::__private::takes(&__message, __KINDS_1) {
                    if let ::core::option::Option::Some(refused) = ::endpoint_runtime::__private::forbids(
                        __context,
                        &["writer", "admin"],
                    ) {
                        break 'call __Call::Done(refused);
                    }
                    let bytes = match <Bytes as ::endpoint_runtime::__private::Argument<
                        ::endpoint_runtime::__private::OnMessage,
                        _,
                    >>::take(__context, &mut __message) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => {
                            break 'call __Call::Done(
                                ::endpoint_runtime::__private::failed(error),
                            );
                        }
                    };
                    break 'call __Call::Method1((bytes,));
                }
                __Call::Done(::endpoint_runtime::__private::Reply::Unhandled)
            };
            async move {
                match __call {
                    __Call::Done(reply) => reply,
                    __Call::Method1((bytes,)) => {
                        <() as ::endpoint_runtime::__private::IntoReply>::reply(
                            Board::paint(
                                    ::endpoint_runtime::__private::shared::<Self>(__this),
                                    bytes,
                                )
                                .await,
                            __context,
                        )
                    }
                }
            }
        }
    }
};
