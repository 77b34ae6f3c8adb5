//! What an annotated endpoint declares, and what generated code implements for it.

use std::any::type_name;
use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{AnyConfigurator, Coders, Context, Held, Intake, Reply, Scope, Slot};
use crate::context::{ApplicationContext, Needs};
use crate::error::{Error, Place, Refusal, Result};
use crate::message::CloseReason;
use crate::session::Handshake;
use crate::settings::{Compression, Options, Overflow, Recover};

/// What `#[server_endpoint]` or `#[client_endpoint]` says of a type, as constants.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    pub(crate) path: &'static str,
    pub(crate) type_name: &'static str,
    pub(crate) package: &'static str,
    pub(crate) place: Place,
    is_client: bool,
    subprotocols: &'static [&'static str],
    require_subprotocol: bool,
    require: &'static [&'static str],
    max_message_size: Option<usize>,
    idle_timeout: Option<Option<Duration>>,
    ping_interval: Option<Option<Duration>>,
    send_buffer: Option<usize>,
    overflow: Option<Overflow>,
    compression: Option<Compression>,
    resume: Option<Duration>,
    origins: Option<&'static [&'static str]>,
    recover: Option<(usize, u64, &'static str)>,
    presence: bool,
}

impl Declaration {
    /// A server endpoint at `path`, with nothing else said.
    pub const fn new(
        path: &'static str,
        type_name: &'static str,
        package: &'static str,
        place: Place,
    ) -> Self {
        Declaration {
            path,
            type_name,
            package,
            place,
            is_client: false,
            subprotocols: &[],
            require_subprotocol: false,
            require: &[],
            max_message_size: None,
            idle_timeout: None,
            ping_interval: None,
            send_buffer: None,
            overflow: None,
            compression: None,
            resume: None,
            origins: None,
            recover: None,
            presence: false,
        }
    }

    /// A client endpoint, with nothing else said. It has no path: its instances are connected to one URL or another.
    pub const fn client(type_name: &'static str, package: &'static str, place: Place) -> Self {
        Declaration { is_client: true, ..Self::new("", type_name, package, place) }
    }

    /// Whether it is a client endpoint.
    pub const fn is_client(&self) -> bool {
        self.is_client
    }

    /// The path template; empty for a client endpoint.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// `subprotocols = [..]`
    pub const fn subprotocols(mut self, subprotocols: &'static [&'static str]) -> Self {
        self.subprotocols = subprotocols;
        self
    }

    /// `require_subprotocol = ..`
    pub const fn require_subprotocol(mut self, require: bool) -> Self {
        self.require_subprotocol = require;
        self
    }

    /// `require = ..`
    pub const fn require(mut self, roles: &'static [&'static str]) -> Self {
        self.require = roles;
        self
    }

    /// `max_message_size = ..`, bytes
    pub const fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = Some(bytes);
        self
    }

    /// `idle_timeout = ".."`, milliseconds; `None` for `"off"`
    pub const fn idle_timeout(mut self, millis: Option<u64>) -> Self {
        self.idle_timeout = Some(duration(millis));
        self
    }

    /// `ping_interval = ".."`, milliseconds; `None` for `"off"`
    pub const fn ping_interval(mut self, millis: Option<u64>) -> Self {
        self.ping_interval = Some(duration(millis));
        self
    }

    /// `send_buffer = ..`, bytes
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// `overflow = ..`
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = Some(overflow);
        self
    }

    /// `compression = ..`
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// `resume = ".."`, milliseconds
    pub const fn resume(mut self, millis: u64) -> Self {
        self.resume = Some(Duration::from_millis(millis));
        self
    }

    /// `origins = [..]`
    pub const fn origins(mut self, origins: &'static [&'static str]) -> Self {
        self.origins = Some(origins);
        self
    }

    /// `recover(size = .., ttl = "..", rooms = "..")`: messages, milliseconds, and the pattern of names
    pub const fn recover(mut self, size: usize, millis: u64, rooms: &'static str) -> Self {
        self.recover = Some((size, millis, rooms));
        self
    }

    /// `presence`
    pub const fn presence(mut self) -> Self {
        self.presence = true;
        self
    }

    pub(crate) fn options(&self) -> Options {
        let owned = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
        Options {
            subprotocols: owned(self.subprotocols),
            require_subprotocol: self.require_subprotocol,
            require: owned(self.require),
            max_message_size: self.max_message_size,
            idle_timeout: self.idle_timeout,
            ping_interval: self.ping_interval,
            send_buffer: self.send_buffer,
            overflow: self.overflow,
            compression: self.compression,
            compression_threshold: None,
            message_rate: None,
            byte_rate: None,
            over_rate: None,
            resume: self.resume,
            origins: self.origins.map(owned),
            recover: self.recover.map(|(size, millis, rooms)| Recover {
                size,
                ttl: Duration::from_millis(millis),
                rooms: Cow::Borrowed(rooms),
            }),
            presence: self.presence,
        }
    }
}

const fn duration(millis: Option<u64>) -> Option<Duration> {
    match millis {
        Some(millis) => Some(Duration::from_millis(millis)),
        None => None,
    }
}

/// Implemented by `#[server_endpoint]` and `#[client_endpoint]`: what a type declares.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an endpoint",
    label = "has no `#[server_endpoint(\"/path\")]`",
    note = "put `#[server_endpoint(\"/path\")]`, or `#[client_endpoint]`, on the struct whose methods these are"
)]
pub trait Declared: Sized + Send + 'static {
    /// How many instances there are.
    type Scope: Scope<Self>;

    /// What it declares.
    const DECLARATION: Declaration;

    /// `decoders = [..], encoders = [..]`
    fn coders() -> Coders {
        Coders::none()
    }
}

/// Implemented by `#[server_endpoint]`: how an instance is made, for a connection that a server has accepted.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a server endpoint",
    label = "has no `#[server_endpoint(\"/path\")]`",
    note = "a server serves what has `#[server_endpoint(\"/path\")]`; an instance of a `#[client_endpoint]` is connected to a URL"
)]
pub trait ServerDeclared: Sized {
    /// What its `#[inject]` fields ask for.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }

    /// A new instance.
    ///
    /// # Errors
    /// A component is missing, which the exporter has ruled out.
    fn create(context: &ApplicationContext) -> Result<Self>;

    /// `configurator = ..`: a new one, for one server.
    fn configurator() -> Option<Arc<dyn AnyConfigurator>> {
        None
    }
}

/// Implemented by `#[client_endpoint]`: its instances are the user's, who connects each of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a client endpoint",
    label = "has no `#[client_endpoint]`",
    note = "what connects to a URL is an instance of a struct with `#[client_endpoint]`; a `#[server_endpoint]` is served at its path"
)]
pub trait ClientDeclared {}

/// Implemented by `#[handlers]`: how an event reaches the methods.
///
/// The futures capture the instance and the session, never the message: what a method takes of it is made before the
/// future is, while the message still lies in the reader's buffer. A method that waits for nothing needs no future.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is declared an endpoint but has no handlers",
    label = "no `#[handlers] impl` block for this type",
    note = "write `#[handlers] impl {Self} {{ #[on_message] fn … }}`"
)]
pub trait Handlers: Declared {
    /// Which messages its methods take.
    const INTAKE: Intake = Intake::NONE;

    /// What the parameters of its methods ask of the application.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }

    /// What the parameters of its methods ask of the opening handshake.
    ///
    /// # Errors
    /// The refusal.
    fn admit(handshake: &Handshake) -> Result<(), Refusal> {
        let _ = handshake;
        Ok(())
    }

    /// `#[on_open]`
    fn open<'a>(
        this: &'a mut Held<Self>,
        context: Context<'a>,
    ) -> impl Future<Output = Reply> + Send + use<'a, Self> {
        let _ = (this, context);
        std::future::ready(Reply::Nothing)
    }

    /// `#[on_message]` on methods that are no `async fn`: the reply, or `None` if none of them takes the message.
    fn message_at_once<'a>(
        this: &'a mut Held<Self>,
        context: Context<'a>,
        message: &mut Slot<'_>,
    ) -> Option<Reply> {
        let _ = (this, context, message);
        None
    }

    /// `#[on_message]` on methods that are an `async fn`.
    fn message<'a>(
        this: &'a mut Held<Self>,
        context: Context<'a>,
        message: Slot<'_>,
    ) -> impl Future<Output = Reply> + Send + use<'a, Self> {
        let _ = (this, context, message);
        std::future::ready(Reply::Unhandled)
    }

    /// `#[on_close]`
    fn close<'a>(
        this: &'a mut Held<Self>,
        context: Context<'a>,
        reason: &'a CloseReason,
    ) -> impl Future<Output = Reply> + Send + use<'a, Self> {
        let _ = (this, context, reason);
        std::future::ready(Reply::Nothing)
    }

    /// `#[on_error]`
    fn error<'a>(
        this: &'a mut Held<Self>,
        context: Context<'a>,
        error: &'a Error,
    ) -> impl Future<Output = Reply> + Send + use<'a, Self> {
        let _ = (this, context, error);
        std::future::ready(Reply::Unhandled)
    }
}

/// The last segment of a type's name, without its generics: what people call it.
pub(crate) fn short_name<E>() -> &'static str {
    let name = type_name::<E>();
    let end = name.find('<').unwrap_or(name.len());
    name[..end].rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Declared;
    use crate::prelude::*;

    #[client_endpoint(
        subprotocols = ["b", "a"],
        max_message_size = 7,
        idle_timeout = "off",
        ping_interval = "250ms",
        send_buffer = 8,
        overflow = drop_newest,
        compression = context
    )]
    struct Listener;

    #[handlers]
    impl Listener {
        #[on_open]
        fn open() {}
    }

    #[test]
    fn a_client_endpoint_declares_what_it_says() {
        let declaration = Listener::DECLARATION;
        let options = declaration.options();
        assert!(declaration.is_client());
        assert_eq!((declaration.path(), declaration.type_name), ("", "Listener"));
        assert_eq!(options.subprotocols, ["b", "a"]);
        assert_eq!((options.max_message_size, options.send_buffer), (Some(7), Some(8)));
        assert_eq!(options.idle_timeout, Some(None));
        assert_eq!(options.ping_interval, Some(Some(Duration::from_millis(250))));
        assert_eq!(options.overflow, Some(Overflow::DropNewest));
        assert_eq!(options.compression, Some(Compression::Context));
        assert_eq!((options.origins, options.require_subprotocol), (None, false));
    }

    #[test]
    fn require_subprotocol_is_an_option() {
        let declaration = Listener::DECLARATION.require_subprotocol(true);
        assert!(declaration.options().require_subprotocol);
    }
}
