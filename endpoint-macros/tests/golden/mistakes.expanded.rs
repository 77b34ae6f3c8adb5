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
}
#[automatically_derived]
impl ::endpoint_runtime::__private::ServerDeclared for Chat {
    fn create(
        _: &::endpoint_runtime::__private::ApplicationContext,
    ) -> ::endpoint_runtime::__private::Result<Self> {
        ::core::unreachable!("this does not compile")
    }
}
::core::compile_error! {
    "`#[server_endpoint]` has no argument `scop`, did you mean `scope`? Its arguments are the path, `subprotocols`, `require_subprotocol`, `decoders`, `encoders`, `configurator`, `scope`, `max_message_size`, `idle_timeout`, `ping_interval`, `send_buffer`, `overflow`, `compression`, `resume`, `origins`, `require`, `recover`, `presence` and `crate`"
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
struct Listener {
    log: Arc<Log>,
}
#[automatically_derived]
impl ::endpoint_runtime::__private::Declared for Listener {
    type Scope = ::endpoint_runtime::__private::PerConnection;
    const DECLARATION: ::endpoint_runtime::__private::Declaration = ::endpoint_runtime::__private::Declaration::client(
        "Listener",
        ::core::env!("CARGO_PKG_NAME"),
        ::endpoint_runtime::__private::Place::new(::core::file!(), ::core::line!()),
    );
}
#[automatically_derived]
impl ::endpoint_runtime::__private::ClientDeclared for Listener {}
::core::compile_error! {
    "`scope` belongs to a server endpoint: each connection of a client has the instance that was passed to `connect`"
}
::core::compile_error! {
    "a client endpoint has no path: each instance is connected to a URL, as in `connect(endpoint, \"wss://host/path\")`"
}
::core::compile_error! {
    "the instances of a client endpoint are made by you: give the field its value there, without an attribute"
}
