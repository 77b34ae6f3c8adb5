/// Hears a room, in parts.
struct Listener {
    heard: mpsc::Sender<Text>,
}
#[automatically_derived]
impl ::endpoint_runtime::__private::Declared for Listener {
    type Scope = ::endpoint_runtime::__private::PerConnection;
    const DECLARATION: ::endpoint_runtime::__private::Declaration = ::endpoint_runtime::__private::Declaration::client(
            "Listener",
            ::core::env!("CARGO_PKG_NAME"),
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
        )
        .subprotocols(&["chat.v2"])
        .idle_timeout(::core::option::Option::Some(60000u64))
        .compression(::endpoint_runtime::__private::Compression::Off);
    fn coders() -> ::endpoint_runtime::__private::Coders {
        let coders = ::endpoint_runtime::__private::Coders::none();
        let coders = <Csv<
            Row,
        > as ::endpoint_runtime::__private::DecoderType>::listed_in(coders);
        let coders = <boards::BoardDecoder as ::endpoint_runtime::__private::DecoderType>::listed_in(
            coders,
        );
        let coders = <Csv<
            Row,
        > as ::endpoint_runtime::__private::EncoderType>::listed_in(coders);
        coders
    }
}
#[automatically_derived]
impl ::endpoint_runtime::__private::ClientDeclared for Listener {}
impl Listener {
    async fn part(&mut self, part: Fragment<Text>) -> Result<()> {
        Ok(self.heard.send(part.data).await?)
    }
    fn row(&self, Decoded(row): Decoded<Row>) -> Encoded<Row> {
        Encoded(row)
    }
}
const _: () = {
    const __KINDS_0: &[::core::option::Option<::endpoint_runtime::__private::Kind>] = &[
        <Fragment<
            Text,
        > as ::endpoint_runtime::__private::Argument<
            ::endpoint_runtime::__private::OnMessage,
            _,
        >>::KIND,
    ];
    const _: () = ::endpoint_runtime::__private::takes_one_message(__KINDS_0);
    const __KINDS_1: &[::core::option::Option<::endpoint_runtime::__private::Kind>] = &[
        <Decoded<
            Row,
        > as ::endpoint_runtime::__private::Argument<
            ::endpoint_runtime::__private::OnMessage,
            _,
        >>::KIND,
    ];
    const _: () = ::endpoint_runtime::__private::takes_one_message(__KINDS_1);
    const _: () = ::endpoint_runtime::__private::only_one_takes(&[__KINDS_0], __KINDS_1);
    const __MAX_1: ::core::primitive::usize = 64 * KIB;
    const _: () = ::endpoint_runtime::__private::takes_up_to(__KINDS_1, __MAX_1);
    #[automatically_derived]
    impl ::endpoint_runtime::__private::Handlers for Listener {
        const INTAKE: ::endpoint_runtime::__private::Intake = {
            let intake = ::endpoint_runtime::__private::Intake::NONE;
            let intake = intake.method(__KINDS_0, ::core::option::Option::None);
            let intake = intake.method(__KINDS_1, ::core::option::Option::Some(__MAX_1));
            intake
        };
        fn needs(__needs: &mut ::endpoint_runtime::__private::Needs) {
            <Fragment<
                Text,
            > as ::endpoint_runtime::__private::Argument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::needs(
                ::endpoint_runtime::__private::Needs::asked_by(
                    __needs,
                    "part",
                    ::endpoint_runtime::__private::Place::new(
                        ::core::file!(),
                        ::core::line!(),
                    ),
                ),
            );
            <Decoded<
                Row,
            > as ::endpoint_runtime::__private::Argument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::needs(
                ::endpoint_runtime::__private::Needs::asked_by(
                    __needs,
                    "Decoded(row)",
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
            <Fragment<
                Text,
            > as ::endpoint_runtime::__private::Argument<
                ::endpoint_runtime::__private::OnMessage,
                _,
            >>::admit(__handshake)?;
            <Decoded<
                Row,
            > as ::endpoint_runtime::__private::Argument<
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
            if ::endpoint_runtime::__private::takes(&__message, __KINDS_1) {
                let __parameter_1 = match <Decoded<
                    Row,
                > as ::endpoint_runtime::__private::Argument<
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
                    <Encoded<
                        Row,
                    > as ::endpoint_runtime::__private::IntoReply>::reply(
                        Listener::row(
                            ::endpoint_runtime::__private::shared::<Self>(__this),
                            __parameter_1,
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
            enum __Call<P0> {
                Done(::endpoint_runtime::__private::Reply),
                Method0(P0),
            }
            let __call = 'call: {
                if ::endpoint_runtime::__private::takes(&__message, __KINDS_0) {
                    let part = match <Fragment<
                        Text,
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
                    break 'call __Call::Method0((part,));
                }
                __Call::Done(::endpoint_runtime::__private::Reply::Unhandled)
            };
            async move {
                match __call {
                    __Call::Done(reply) => reply,
                    __Call::Method0((part,)) => {
                        <Result<
                            (),
                        > as ::endpoint_runtime::__private::IntoReply>::reply(
                            Listener::part(
                                    <::endpoint_runtime::__private::Held<
                                        Self,
                                    > as ::endpoint_runtime::__private::HeldExclusively<
                                        Self,
                                    >>::exclusive(__this),
                                    part,
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
