#[cfg(feature = "chat")]
pub struct Chat(Arc<Log>, #[cfg(unix)] u8);
#[cfg(feature = "chat")]
#[automatically_derived]
impl ::runtime::__private::Declared for Chat {
    type Scope = ::runtime::__private::Singleton;
    const DECLARATION: ::runtime::__private::Declaration = ::runtime::__private::Declaration::new(
        "/chat",
        "Chat",
        ::core::env!("CARGO_PKG_NAME"),
        ::runtime::__private::Place::new(::core::file!(), ::core::line!()),
    );
}
#[cfg(feature = "chat")]
#[automatically_derived]
impl ::runtime::__private::ServerDeclared for Chat {
    fn needs(__needs: &mut ::runtime::__private::Needs) {
        <Arc<
            Log,
        > as ::runtime::__private::InjectedField>::needs(
            __needs,
            "0",
            ::runtime::__private::Place::new(::core::file!(), ::core::line!()),
        );
    }
    fn create(
        __context: &::runtime::__private::ApplicationContext,
    ) -> ::runtime::__private::Result<Self> {
        ::core::result::Result::Ok(Self {
            0: <Arc<Log> as ::runtime::__private::InjectedField>::inject(__context)?,
            #[cfg(unix)]
            1: <u8 as ::runtime::__private::InitialField>::initial(),
        })
    }
}
#[cfg(feature = "chat")]
const _: () = {
    ::runtime::__private::submit! {
        ::runtime::__private::Registration::of:: < Chat > ()
    }
};
#[cfg(feature = "chat")]
impl Chat {
    #[cfg(unix)]
    fn open(&self, peer: Peer) {}
    #[cfg(windows)]
    fn open_there(&self) {}
    async fn text(&self, text: &str) {}
    #[cfg(unix)]
    async fn bytes(&self, bytes: &[u8], sessions: Sessions) {}
}
#[cfg(feature = "chat")]
const _: () = {
    const __KINDS_0: &[::core::option::Option<::runtime::__private::Kind>] = &[
        <::runtime::__private::Text as ::runtime::__private::RefArgument<
            ::runtime::__private::OnMessage,
            _,
        >>::KIND,
    ];
    const _: () = ::runtime::__private::takes_one_message(__KINDS_0);
    #[cfg(unix)]
    const __KINDS_1: &[::core::option::Option<::runtime::__private::Kind>] = &[
        <::runtime::__private::Bytes as ::runtime::__private::RefArgument<
            ::runtime::__private::OnMessage,
            _,
        >>::KIND,
        <Sessions as ::runtime::__private::Argument<
            ::runtime::__private::OnMessage,
            _,
        >>::KIND,
    ];
    #[cfg(unix)]
    const _: () = ::runtime::__private::takes_one_message(__KINDS_1);
    #[cfg(unix)]
    const _: () = ::runtime::__private::only_one_takes(&[__KINDS_0], __KINDS_1);
    #[automatically_derived]
    impl ::runtime::__private::Handlers for Chat {
        const INTAKE: ::runtime::__private::Intake = {
            let intake = ::runtime::__private::Intake::NONE;
            let intake = intake.method(__KINDS_0, ::core::option::Option::None);
            #[cfg(unix)]
            let intake = intake.method(__KINDS_1, ::core::option::Option::None);
            intake
        };
        fn needs(__needs: &mut ::runtime::__private::Needs) {
            #[cfg(unix)]
            {
                <Peer as ::runtime::__private::Argument<
                    ::runtime::__private::OnOpen,
                    _,
                >>::needs(
                    ::runtime::__private::Needs::asked_by(
                        __needs,
                        "peer",
                        ::runtime::__private::Place::new(
                            ::core::file!(),
                            ::core::line!(),
                        ),
                    ),
                );
            }
            <::runtime::__private::Text as ::runtime::__private::RefArgument<
                ::runtime::__private::OnMessage,
                _,
            >>::needs(
                ::runtime::__private::Needs::asked_by(
                    __needs,
                    "text",
                    ::runtime::__private::Place::new(::core::file!(), ::core::line!()),
                ),
            );
            #[cfg(unix)]
            {
                <::runtime::__private::Bytes as ::runtime::__private::RefArgument<
                    ::runtime::__private::OnMessage,
                    _,
                >>::needs(
                    ::runtime::__private::Needs::asked_by(
                        __needs,
                        "bytes",
                        ::runtime::__private::Place::new(
                            ::core::file!(),
                            ::core::line!(),
                        ),
                    ),
                );
                <Sessions as ::runtime::__private::Argument<
                    ::runtime::__private::OnMessage,
                    _,
                >>::needs(
                    ::runtime::__private::Needs::asked_by(
                        __needs,
                        "sessions",
                        ::runtime::__private::Place::new(
                            ::core::file!(),
                            ::core::line!(),
                        ),
                    ),
                );
            }
        }
        fn admit(
            __handshake: &::runtime::__private::Handshake,
        ) -> ::core::result::Result<(), ::runtime::__private::Refusal> {
            #[cfg(unix)]
            {
                <Peer as ::runtime::__private::Argument<
                    ::runtime::__private::OnOpen,
                    _,
                >>::admit(__handshake)?;
            }
            <::runtime::__private::Text as ::runtime::__private::RefArgument<
                ::runtime::__private::OnMessage,
                _,
            >>::admit(__handshake)?;
            #[cfg(unix)]
            {
                <::runtime::__private::Bytes as ::runtime::__private::RefArgument<
                    ::runtime::__private::OnMessage,
                    _,
                >>::admit(__handshake)?;
                <Sessions as ::runtime::__private::Argument<
                    ::runtime::__private::OnMessage,
                    _,
                >>::admit(__handshake)?;
            }
            ::core::result::Result::Ok(())
        }
        #[cfg(unix)]
        async fn open<'a>(
            __this: &'a mut ::runtime::__private::Held<Self>,
            __context: ::runtime::__private::Context<'a>,
        ) -> ::runtime::__private::Reply {
            let peer = match <Peer as ::runtime::__private::Argument<
                ::runtime::__private::OnOpen,
                _,
            >>::take(__context, &mut ()) {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(error) => {
                    return ::runtime::__private::failed(error);
                }
            };
            <() as ::runtime::__private::IntoReply>::reply(
                Chat::open(::runtime::__private::shared::<Self>(__this), peer),
                __context,
            )
        }
        #[cfg(windows)]
        async fn open<'a>(
            __this: &'a mut ::runtime::__private::Held<Self>,
            __context: ::runtime::__private::Context<'a>,
        ) -> ::runtime::__private::Reply {
            <() as ::runtime::__private::IntoReply>::reply(
                Chat::open_there(::runtime::__private::shared::<Self>(__this)),
                __context,
            )
        }
        fn message<'a>(
            __this: &'a mut ::runtime::__private::Held<Self>,
            __context: ::runtime::__private::Context<'a>,
            mut __message: ::runtime::__private::Slot<'_>,
        ) -> impl ::core::future::Future<
            Output = ::runtime::__private::Reply,
        > + ::core::marker::Send + use<'a> {
            enum __Call<P0, #[cfg(unix)] P1> {
                Done(::runtime::__private::Reply),
                Method0(P0),
                #[cfg(unix)]
                Method1(P1),
            }
            let __call = 'call: {
                if ::runtime::__private::takes(&__message, __KINDS_0) {
                    let text = match <::runtime::__private::Text as ::runtime::__private::RefArgument<
                        ::runtime::__private::OnMessage,
                        _,
                    >>::hold(__context, &mut __message) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => {
                            break 'call __Call::Done(::runtime::__private::failed(error));
                        }
                    };
                    break 'call __Call::Method0((text,));
                }
                #[cfg(unix)]
                if ::runtime::__private::takes(&__message, __KINDS_1) {
                    let bytes = match <::runtime::__private::Bytes as ::runtime::__private::RefArgument<
                        ::runtime::__private::OnMessage,
                        _,
                    >>::hold(__context, &mut __message) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => {
                            break 'call __Call::Done(::runtime::__private::failed(error));
                        }
                    };
                    let sessions = match <Sessions as ::runtime::__private::Argument<
                        ::runtime::__private::OnMessage,
                        _,
                    >>::take(__context, &mut __message) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => {
                            break 'call __Call::Done(::runtime::__private::failed(error));
                        }
                    };
                    break 'call __Call::Method1((bytes, sessions));
                }
                __Call::Done(::runtime::__private::Reply::Unhandled)
            };
            async move {
                match __call {
                    __Call::Done(reply) => reply,
                    __Call::Method0((text,)) => {
                        <() as ::runtime::__private::IntoReply>::reply(
                            Chat::text(
                                    ::runtime::__private::shared::<Self>(__this),
                                    ::runtime::__private::lend(&text),
                                )
                                .await,
                            __context,
                        )
                    }
                    #[cfg(unix)]
                    __Call::Method1((bytes, sessions)) => {
                        <() as ::runtime::__private::IntoReply>::reply(
                            Chat::bytes(
                                    ::runtime::__private::shared::<Self>(__this),
                                    ::runtime::__private::lend(&bytes),
                                    sessions,
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
