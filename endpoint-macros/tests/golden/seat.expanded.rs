struct Seat {
    theatre: Arc<Theatre>,
    taken: bool,
    log: Vec<String>,
}
#[automatically_derived]
impl ::endpoint_runtime::__private::Declared for Seat {
    type Scope = ::endpoint_runtime::__private::PerConnection;
    const DECLARATION: ::endpoint_runtime::__private::Declaration = ::endpoint_runtime::__private::Declaration::new(
            "/rooms/{room}/seats/{seat}",
            "Seat",
            ::core::env!("CARGO_PKG_NAME"),
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
        )
        .subprotocols(&["chat.v2", "chat.v1"])
        .max_message_size(65_536)
        .idle_timeout(::core::option::Option::Some(60000u64))
        .ping_interval(::core::option::Option::None)
        .send_buffer(16 * LIMIT)
        .overflow(::endpoint_runtime::__private::Overflow::Disconnect)
        .compression(::endpoint_runtime::__private::Compression::Context)
        .origins(&["https://example.com"])
        .require_subprotocol(true);
}
#[automatically_derived]
impl ::endpoint_runtime::__private::ServerDeclared for Seat {
    fn needs(__needs: &mut ::endpoint_runtime::__private::Needs) {
        <Arc<
            Theatre,
        > as ::endpoint_runtime::__private::InjectedField>::needs(
            __needs,
            "theatre",
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
        );
    }
    fn create(
        __context: &::endpoint_runtime::__private::ApplicationContext,
    ) -> ::endpoint_runtime::__private::Result<Self> {
        ::core::result::Result::Ok(Self {
            theatre: <Arc<
                Theatre,
            > as ::endpoint_runtime::__private::InjectedField>::inject(__context)?,
            taken: <bool as ::endpoint_runtime::__private::InitialField>::initial(),
            log: Vec::with_capacity(8),
        })
    }
    fn configurator() -> ::core::option::Option<
        ::endpoint_runtime::__private::Arc<
            dyn ::endpoint_runtime::__private::AnyConfigurator,
        >,
    > {
        ::core::option::Option::Some(
            <tickets::Checked<
                Ticket,
            > as ::endpoint_runtime::__private::ConfiguratorType>::shared(),
        )
    }
}
const _: () = {
    ::endpoint_runtime::__private::submit! {
        ::endpoint_runtime::__private::Registration::of:: < Seat > ()
    }
};
impl Seat {
    async fn open(
        &mut self,
        session: &Session,
        room: RoomId,
        number: u32,
    ) -> Result<()> {
        self.theatre.enter(room, number, session.clone()).await?;
        Ok(())
    }
    /// Not a handler: stays as it is.
    fn helper(&self) {}
    async fn command(
        &mut self,
        Json(command): Json<Command>,
        session: &Session,
    ) -> Result<Json<Event>> {
        self.run(command, session).await
    }
    fn picture(
        &self,
        bytes: &[u8],
        scale: Option<f32>,
    ) -> Replies<impl Stream<Item = Bytes> + use<>> {
        tiles(bytes, scale)
    }
    async fn pong(pong: Pong) {}
    async fn close(&mut self, reason: &CloseReason) {}
    fn bad_json(&self, error: &DecodeError) -> Json<Event> {
        Json(Event::bad(error))
    }
    async fn other(&self, error: &Error, session: &Session) {}
}
const _: () = {
    const __KINDS_0: &[::core::option::Option<::endpoint_runtime::__private::Kind>] = &[
        <Json<
            Command,
        > as ::endpoint_runtime::__private::Argument<
            ::endpoint_runtime::__private::OnMessage,
            _,
        >>::KIND,
        <Session as ::endpoint_runtime::__private::RefArgument<
            ::endpoint_runtime::__private::OnMessage,
            _,
        >>::KIND,
    ];
    const _: () = ::endpoint_runtime::__private::takes_one_message(__KINDS_0);
    const __KINDS_1: &[::core::option::Option<::endpoint_runtime::__private::Kind>] = &[
        <[u8] as ::endpoint_runtime::__private::RefArgument<
            ::endpoint_runtime::__private::OnMessage,
            _,
        >>::KIND,
    ];
    const _: () = ::endpoint_runtime::__private::takes_one_message(__KINDS_1);
    const _: () = ::endpoint_runtime::__private::only_one_takes(&[__KINDS_0], __KINDS_1);
    const __MAX_1: ::core::primitive::usize = 1_000_000;
    const _: () = ::endpoint_runtime::__private::takes_up_to(__KINDS_1, __MAX_1);
    const __KINDS_2: &[::core::option::Option<::endpoint_runtime::__private::Kind>] = &[
        <Pong as ::endpoint_runtime::__private::Argument<
            ::endpoint_runtime::__private::OnMessage,
            _,
        >>::KIND,
    ];
    const _: () = ::endpoint_runtime::__private::takes_one_message(__KINDS_2);
    const _: () = ::endpoint_runtime::__private::only_one_takes(
        &[__KINDS_0, __KINDS_1],
        __KINDS_2,
    );
    #[automatically_derived]
    impl ::endpoint_runtime::__private::Handlers for Seat {
        const INTAKE: ::endpoint_runtime::__private::Intake = {
            let intake = ::endpoint_runtime::__private::Intake::NONE;
            let intake = intake.method(__KINDS_0, ::core::option::Option::None);
            let intake = intake.method(__KINDS_1, ::core::option::Option::Some(__MAX_1));
            let intake = intake.method(__KINDS_2, ::core::option::Option::None);
            intake
        };
        fn needs(__needs: &mut ::endpoint_runtime::__private::Needs) {
            <Session as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnOpen,
                _,
            >>::needs(
                ::endpoint_runtime::__private::Needs::asked_by(
                    __needs,
                    "session",
                    ::endpoint_runtime::__private::Place::new(
                        ::core::file!(),
                        ::core::line!(),
                    ),
                ),
            );
            <Json<
                Command,
            > as ::endpoint_runtime::__private::Argument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::needs(
                ::endpoint_runtime::__private::Needs::asked_by(
                    __needs,
                    "Json(command)",
                    ::endpoint_runtime::__private::Place::new(
                        ::core::file!(),
                        ::core::line!(),
                    ),
                ),
            );
            <Session as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::needs(
                ::endpoint_runtime::__private::Needs::asked_by(
                    __needs,
                    "session",
                    ::endpoint_runtime::__private::Place::new(
                        ::core::file!(),
                        ::core::line!(),
                    ),
                ),
            );
            <[u8] as ::endpoint_runtime::__private::RefArgument<
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
            <Pong as ::endpoint_runtime::__private::Argument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::needs(
                ::endpoint_runtime::__private::Needs::asked_by(
                    __needs,
                    "pong",
                    ::endpoint_runtime::__private::Place::new(
                        ::core::file!(),
                        ::core::line!(),
                    ),
                ),
            );
            <CloseReason as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnClose,
                _,
            >>::needs(
                ::endpoint_runtime::__private::Needs::asked_by(
                    __needs,
                    "reason",
                    ::endpoint_runtime::__private::Place::new(
                        ::core::file!(),
                        ::core::line!(),
                    ),
                ),
            );
            <Session as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnError,
                _,
            >>::needs(
                ::endpoint_runtime::__private::Needs::asked_by(
                    __needs,
                    "session",
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
            <Session as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnOpen,
                _,
            >>::admit(__handshake)?;
            <RoomId as ::endpoint_runtime::__private::SegmentArgument<
                _,
            >>::admit(__handshake, "room")?;
            <u32 as ::endpoint_runtime::__private::SegmentArgument<
                _,
            >>::admit(__handshake, "seat")?;
            <Json<
                Command,
            > as ::endpoint_runtime::__private::Argument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::admit(__handshake)?;
            <Session as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::admit(__handshake)?;
            <[u8] as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::admit(__handshake)?;
            <Option<
                f32,
            > as ::endpoint_runtime::__private::QueryArgument<
                _,
            >>::admit(__handshake, "scale")?;
            <Pong as ::endpoint_runtime::__private::Argument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::admit(__handshake)?;
            <CloseReason as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnClose,
                _,
            >>::admit(__handshake)?;
            <Session as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnError,
                _,
            >>::admit(__handshake)?;
            ::core::result::Result::Ok(())
        }
        async fn open<'a>(
            __this: &'a mut ::endpoint_runtime::__private::Held<Self>,
            __context: ::endpoint_runtime::__private::Context<'a>,
        ) -> ::endpoint_runtime::__private::Reply {
            let session = match <Session as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnOpen,
                _,
            >>::hold(__context, &mut ()) {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(error) => {
                    return ::endpoint_runtime::__private::failed(error);
                }
            };
            let room = match <RoomId as ::endpoint_runtime::__private::SegmentArgument<
                _,
            >>::take(__context, "room") {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(error) => {
                    return ::endpoint_runtime::__private::failed(error);
                }
            };
            let number = match <u32 as ::endpoint_runtime::__private::SegmentArgument<
                _,
            >>::take(__context, "seat") {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(error) => {
                    return ::endpoint_runtime::__private::failed(error);
                }
            };
            <Result<
                (),
            > as ::endpoint_runtime::__private::IntoReply>::reply(
                Seat::open(
                        <::endpoint_runtime::__private::Held<
                            Self,
                        > as ::endpoint_runtime::__private::HeldExclusively<
                            Self,
                        >>::exclusive(__this),
                        ::endpoint_runtime::__private::lend(&session),
                        room,
                        number,
                    )
                    .await,
                __context,
            )
        }
        fn message_at_once<'a>(
            __this: &'a mut ::endpoint_runtime::__private::Held<Self>,
            __context: ::endpoint_runtime::__private::Context<'a>,
            __message: &mut ::endpoint_runtime::__private::Slot<'_>,
        ) -> ::core::option::Option<::endpoint_runtime::__private::Reply> {
            if ::endpoint_runtime::__private::takes(&__message, __KINDS_1) {
                let bytes = match <[u8] as ::endpoint_runtime::__private::RefArgument<
                    ::endpoint_runtime::__private::OnMessage,
                    _,
                >>::hold(__context, &mut *__message) {
                    ::core::result::Result::Ok(value) => value,
                    ::core::result::Result::Err(error) => {
                        return ::core::option::Option::Some(
                            ::endpoint_runtime::__private::failed(error),
                        );
                    }
                };
                let scale = match <Option<
                    f32,
                > as ::endpoint_runtime::__private::QueryArgument<
                    _,
                >>::take(__context, "scale") {
                    ::core::result::Result::Ok(value) => value,
                    ::core::result::Result::Err(error) => {
                        return ::core::option::Option::Some(
                            ::endpoint_runtime::__private::failed(error),
                        );
                    }
                };
                return ::core::option::Option::Some({
                    let __returned = Seat::picture(
                        ::endpoint_runtime::__private::shared::<Self>(__this),
                        ::endpoint_runtime::__private::lend(&bytes),
                        scale,
                    );
                    ::endpoint_runtime::__private::IntoReply::reply(
                        __returned,
                        __context,
                    )
                });
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
            enum __Call<P0, P2> {
                Done(::endpoint_runtime::__private::Reply),
                Method0(P0),
                Method2(P2),
            }
            let __call = 'call: {
                if ::endpoint_runtime::__private::takes(&__message, __KINDS_0) {
                    let __parameter_1 = match <Json<
                        Command,
                    > as ::endpoint_runtime::__private::Argument<
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
                    let session = match <Session as ::endpoint_runtime::__private::RefArgument<
                        ::endpoint_runtime::__private::OnMessage,
                        _,
                    >>::hold(__context, &mut __message) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => {
                            break 'call __Call::Done(
                                ::endpoint_runtime::__private::failed(error),
                            );
                        }
                    };
                    break 'call __Call::Method0((__parameter_1, session));
                }
                if ::endpoint_runtime::__private::takes(&__message, __KINDS_2) {
                    let pong = match <Pong as ::endpoint_runtime::__private::Argument<
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
                    break 'call __Call::Method2((pong,));
                }
                __Call::Done(::endpoint_runtime::__private::Reply::Unhandled)
            };
            async move {
                match __call {
                    __Call::Done(reply) => reply,
                    __Call::Method0((__parameter_1, session)) => {
                        <Result<
                            Json<Event>,
                        > as ::endpoint_runtime::__private::IntoReply>::reply(
                            Seat::command(
                                    <::endpoint_runtime::__private::Held<
                                        Self,
                                    > as ::endpoint_runtime::__private::HeldExclusively<
                                        Self,
                                    >>::exclusive(__this),
                                    __parameter_1,
                                    ::endpoint_runtime::__private::lend(&session),
                                )
                                .await,
                            __context,
                        )
                    }
                    __Call::Method2((pong,)) => {
                        <() as ::endpoint_runtime::__private::IntoReply>::reply(
                            Seat::pong(pong).await,
                            __context,
                        )
                    }
                }
            }
        }
        async fn close<'a>(
            __this: &'a mut ::endpoint_runtime::__private::Held<Self>,
            __context: ::endpoint_runtime::__private::Context<'a>,
            __reason: &'a ::endpoint_runtime::__private::CloseReason,
        ) -> ::endpoint_runtime::__private::Reply {
            let reason = match <CloseReason as ::endpoint_runtime::__private::RefArgument<
                ::endpoint_runtime::__private::OnClose,
                _,
            >>::hold(__context, &mut &*__reason) {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(error) => {
                    return ::endpoint_runtime::__private::failed(error);
                }
            };
            <() as ::endpoint_runtime::__private::Completion>::into_reply(
                Seat::close(
                        <::endpoint_runtime::__private::Held<
                            Self,
                        > as ::endpoint_runtime::__private::HeldExclusively<
                            Self,
                        >>::exclusive(__this),
                        ::endpoint_runtime::__private::lend(&reason),
                    )
                    .await,
            )
        }
        async fn error<'a>(
            __this: &'a mut ::endpoint_runtime::__private::Held<Self>,
            __context: ::endpoint_runtime::__private::Context<'a>,
            __error: &'a ::endpoint_runtime::__private::Error,
        ) -> ::endpoint_runtime::__private::Reply {
            for __last in [false, true] {
                if let ::core::option::Option::Some(error) = <DecodeError as ::endpoint_runtime::__private::Caught>::caught(
                    __error,
                    __last,
                ) {
                    return <Json<
                        Event,
                    > as ::endpoint_runtime::__private::IntoReply>::reply(
                        Seat::bad_json(
                            ::endpoint_runtime::__private::shared::<Self>(__this),
                            error,
                        ),
                        __context,
                    );
                }
                if let ::core::option::Option::Some(error) = <Error as ::endpoint_runtime::__private::Caught>::caught(
                    __error,
                    __last,
                ) {
                    let session = match <Session as ::endpoint_runtime::__private::RefArgument<
                        ::endpoint_runtime::__private::OnError,
                        _,
                    >>::hold(__context, &mut ()) {
                        ::core::result::Result::Ok(value) => value,
                        ::core::result::Result::Err(error) => {
                            return ::endpoint_runtime::__private::failed(error);
                        }
                    };
                    return <() as ::endpoint_runtime::__private::IntoReply>::reply(
                        Seat::other(
                                ::endpoint_runtime::__private::shared::<Self>(__this),
                                error,
                                ::endpoint_runtime::__private::lend(&session),
                            )
                            .await,
                        __context,
                    );
                }
            }
            ::endpoint_runtime::__private::Reply::Unhandled
        }
    }
};
const _: () = ::endpoint_runtime::__private::path_has::<Seat>("room");
const _: () = ::endpoint_runtime::__private::path_has::<Seat>("seat");
impl ::endpoint_runtime::__private::OnlyOneOnErrorMethodFor<DecodeError> for Seat {}
impl ::endpoint_runtime::__private::OnlyOneOnErrorMethodFor<Error> for Seat {}
