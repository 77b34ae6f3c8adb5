//! What may be connected: [`ClientEndpoint`], and how its instance is driven from one connection to the next.

use std::any::{TypeId, type_name};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::connection::{self, Upgraded};
use crate::context::{Need, Needs};
use crate::endpoint::{
    Annotated, ClientDeclared, Coders, Context, Dispatch, Endpoint, Handlers, Held, Intake, Programmatic,
    Reply, Slot, short_name,
};
use crate::error::{Error, Refusal, Result};
use crate::message::CloseReason;
use crate::session::{Handshake, Session};
use crate::settings::Options;

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An endpoint for [`Client::connect`](crate::Client::connect): an instance of a type with `#[client_endpoint]` and `#[handlers]`, or
/// of one that implements [`Endpoint`].
///
/// `Via` says which of the two; the compiler finds it out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be connected",
    label = "is no endpoint",
    note = "an endpoint that connects is an instance of a struct with `#[client_endpoint]` and a `#[handlers]` block, or of a type that implements `Endpoint`",
    note = "a `#[server_endpoint]` does not connect: it is served at its path"
)]
pub trait ClientEndpoint<Via>: Send + 'static {
    #[doc(hidden)]
    fn into_instance(self) -> ClientInstance;
}

/// By annotation: see [`ClientEndpoint`].
#[derive(Debug)]
pub enum ViaHandlers {}

/// By hand: see [`ClientEndpoint`].
#[derive(Debug)]
pub enum ViaEndpoint {}

impl<E: Handlers + ClientDeclared> ClientEndpoint<ViaHandlers> for E {
    fn into_instance(self) -> ClientInstance {
        let declaration = E::DECLARATION;
        let mut needs = Needs::new(declaration.place);
        <E as Handlers>::needs(&mut needs);
        ClientInstance {
            about: About {
                type_id: TypeId::of::<E>(),
                full_name: type_name::<E>(),
                type_name: declaration.type_name,
                options: declaration.options(),
                needs: needs.into_found(),
                intake: E::INTAKE,
                coders: E::coders(),
                admit: E::admit,
            },
            driver: Box::new(Driven(Annotated(Held::new(self)))),
        }
    }
}

impl<E: Endpoint> ClientEndpoint<ViaEndpoint> for E {
    fn into_instance(self) -> ClientInstance {
        ClientInstance {
            about: About {
                type_id: TypeId::of::<E>(),
                full_name: type_name::<E>(),
                type_name: short_name::<E>(),
                options: Options::default(),
                needs: Vec::new(),
                intake: Intake::NONE,
                coders: Coders::none(),
                admit: |_| Ok(()),
            },
            driver: Box::new(Driven(Programmatic(self))),
        }
    }
}

/// An instance with what its type says of itself.
pub struct ClientInstance {
    pub(super) about: About,
    pub(super) driver: Box<dyn Driver>,
}

impl fmt::Debug for ClientInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientInstance").field(&self.about.type_name).finish()
    }
}

/// What a type says of itself.
pub(super) struct About {
    pub(super) type_id: TypeId,
    pub(super) type_name: &'static str,
    pub(super) full_name: &'static str,
    pub(super) options: Options,
    pub(super) needs: Vec<Need>,
    /// Which messages its methods take, and its decoders and encoders.
    pub(super) intake: Intake,
    pub(super) coders: Coders,
    /// What its parameters ask of the handshake.
    pub(super) admit: fn(&Handshake) -> Result<(), Refusal>,
}

/// An instance without its type. It is driven by one connection at a time, and comes back when that has ended.
pub(super) trait Driver: Send {
    fn drive(
        self: Box<Self>,
        upgraded: Upgraded,
        opened: Option<Opened>,
    ) -> BoxFuture<Option<Box<dyn Driver>>>;
}

struct Driven<D>(D);

impl<D: Dispatch> Driver for Driven<D> {
    fn drive(
        self: Box<Self>,
        upgraded: Upgraded,
        opened: Option<Opened>,
    ) -> BoxFuture<Option<Box<dyn Driver>>> {
        let observed = Observed { endpoint: self.0, opened };
        let back = |observed: Observed<D>| Box::new(Driven(observed.endpoint)) as Box<dyn Driver>;
        Box::pin(connection::run(move |_| Ok(observed), upgraded).map(move |observed| observed.map(back)))
    }
}

/// What is to be done when a connection has opened.
pub(super) struct Opened {
    /// What the application wants done, once `on_open` has returned.
    pub(super) hook: Option<Hook>,
    /// Then the connection is ready for everybody.
    pub(super) ready: Box<dyn FnOnce(&Session) + Send>,
}

pub(super) type Hook = Arc<dyn Fn(Session) -> BoxFuture<Result<()>> + Send + Sync>;

/// An endpoint, and somebody who waits for it to have opened.
struct Observed<D> {
    endpoint: D,
    opened: Option<Opened>,
}

impl<D: Dispatch> Dispatch for Observed<D> {
    fn open<'a>(&'a mut self, context: Context<'a>) -> impl Future<Output = Reply> + Send + use<'a, D> {
        self.endpoint.open(context)
    }

    async fn opened<'a>(&'a mut self, context: Context<'a>) -> Reply {
        let Some(Opened { hook, ready }) = self.opened.take() else { return Reply::Nothing };
        if let Some(hook) = hook
            && let Err(error) = hook(context.session().clone()).await
        {
            return Reply::Failed(error);
        }
        ready(context.session());
        Reply::Nothing
    }

    fn message_at_once(&mut self, context: Context<'_>, message: &mut Slot<'_>) -> Option<Reply> {
        self.endpoint.message_at_once(context, message)
    }

    fn message<'a>(
        &'a mut self,
        context: Context<'a>,
        message: Slot<'_>,
    ) -> impl Future<Output = Reply> + Send + use<'a, D> {
        self.endpoint.message(context, message)
    }

    fn close<'a>(
        &'a mut self,
        context: Context<'a>,
        reason: &'a CloseReason,
    ) -> impl Future<Output = Reply> + Send + use<'a, D> {
        self.endpoint.close(context, reason)
    }

    fn error<'a>(
        &'a mut self,
        context: Context<'a>,
        error: &'a Error,
    ) -> impl Future<Output = Reply> + Send + use<'a, D> {
        self.endpoint.error(context, error)
    }
}
