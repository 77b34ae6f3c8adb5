struct Chat {
    log: Arc<Log>,
}
#[automatically_derived]
impl ::endpoint_runtime::__private::Declared for Chat {
    type Scope = ::endpoint_runtime::__private::Singleton;
    const DECLARATION: ::endpoint_runtime::__private::Declaration = ::endpoint_runtime::__private::Declaration::new(
        "",
        "Chat",
        ::core::env!("CARGO_PKG_NAME"),
        ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
    );
    fn needs(_: &mut ::endpoint_runtime::__private::Needs) {}
    fn create(
        _: &::endpoint_runtime::__private::ApplicationContext,
    ) -> ::endpoint_runtime::__private::Result<Self> {
        ::core::unreachable!("this does not compile")
    }
}
::core::compile_error! {
    "`#[server_endpoint]` has no argument `scop`, did you mean `scope`? Its arguments are the path, `subprotocols`, `scope`, `max_message_size`, `idle_timeout`, `ping_interval`, `send_buffer`, `overflow`, `origins` and `crate`"
}
::core::compile_error! {
    "the path must start with '/': write \"/chat\""
}
impl Chat {
    fn both(self, a: u8) {}
}
#[automatically_derived]
impl ::endpoint_runtime::__private::Handlers for Chat {}
::core::compile_error! {
    "`both` takes one event: write a second method for `#[on_close]`"
}
::core::compile_error! {
    "a handler borrows the endpoint, which goes on living: take `&self` or `&mut self`"
}
