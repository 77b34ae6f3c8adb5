/// Whoever was away for less than five minutes misses nothing.
struct News;
#[automatically_derived]
impl ::endpoint_runtime::__private::Declared for News {
    type Scope = ::endpoint_runtime::__private::PerConnection;
    const DECLARATION: ::endpoint_runtime::__private::Declaration = ::endpoint_runtime::__private::Declaration::new(
            "/news/{topic}",
            "News",
            ::core::env!("CARGO_PKG_NAME"),
            ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
        )
        .recover(10 * 10, 300000u64, "news/*")
        .presence();
}
#[automatically_derived]
impl ::endpoint_runtime::__private::ServerDeclared for News {
    fn create(
        __context: &::endpoint_runtime::__private::ApplicationContext,
    ) -> ::endpoint_runtime::__private::Result<Self> {
        ::core::result::Result::Ok(Self {})
    }
}
const _: () = {
    ::endpoint_runtime::__private::submit! {
        ::endpoint_runtime::__private::Registration::of:: < News > ()
    }
};
impl News {
    fn open(&self) {}
}
#[automatically_derived]
impl ::endpoint_runtime::__private::Handlers for News {
    async fn open<'a>(
        __this: &'a mut ::endpoint_runtime::__private::Held<Self>,
        __context: ::endpoint_runtime::__private::Context<'a>,
    ) -> ::endpoint_runtime::__private::Reply {
        <() as ::endpoint_runtime::__private::IntoReply>::reply(
            News::open(::endpoint_runtime::__private::shared::<Self>(__this)),
            __context,
        )
    }
}
