//! [`Plan`]: one connection to be made, once or again and again: where to, for whom, and how.

use std::sync::Arc;

use futures_util::future::{Either, select};
use http::StatusCode;
use http::header::LOCATION;
use http::response::Parts;
use tokio::net::TcpStream;

use super::Options;
use super::container::Container;
use super::dial::{Answer, Progress, dial, exchange};
use super::endpoint::{About, BoxFuture, Driver, Opened};
use super::error::{ConnectError, ConnectStep};
use super::handshake::Asking;
use super::target::Target;
use crate::access::Roles;
use crate::connection::{Timers, Transport, Upgraded};
use crate::context::{ApplicationContext, Need, Unmet};
use crate::endpoint::Reception;
use crate::message::{CloseReason, Text};
use crate::session::{EndpointConfig, Ends, Extension, Handshake, Home, Limits, Session, is_token};
use crate::wire::Role;

pub(super) struct Plan {
    options: Arc<Options>,
    pub(super) container: Arc<Container>,
    pub(super) target: Target,
    about: About,
    subprotocols: Vec<String>,
    pub(super) home: Arc<Home>,
}

impl Plan {
    /// Checks all that can be checked without connecting.
    pub(super) fn new(
        options: &Arc<Options>,
        container: &Arc<Container>,
        about: About,
        url: &str,
    ) -> Result<Self, ConnectError> {
        let target = Target::parse(url).map_err(ConnectError::Url)?;
        let application = options.application(container);
        let own = &about.options.subprotocols;
        let subprotocols = if own.is_empty() { &options.subprotocols } else { own }.clone();
        let mut problems = options.problems(target.secure);
        problems.extend(missing(about.type_name, &about.needs, &application));
        problems.extend(subprotocols.iter().filter(|name| !is_token(name)).map(|name| {
            format!("`{name}` is not the name of a subprotocol: letters, digits and some signs, no spaces")
        }));
        problems.extend(options.extensions.iter().filter_map(Extension::fault));
        let reception = Reception::resolve(about.intake, about.coders.clone().and(&options.coders))
            .unwrap_or_else(|faults| {
                problems.extend(faults);
                Reception::default()
            });
        if !problems.is_empty() {
            return Err(ConnectError::Setup(problems));
        }
        let config = EndpointConfig {
            path: target.path_and_query.path().to_owned(),
            type_id: about.type_id,
            type_name: about.type_name,
            full_name: about.full_name,
            subprotocols: subprotocols.iter().map(|name| Text::from(name.as_str())).collect(),
            extensions: options.extensions.clone(),
            roles: Roles::default(),
            limits: Limits::from(&options.settings).overridden(&about.options),
            configurator: None,
        };
        let home = Home::new(config, reception, container.sessions.clone(), application);
        let (options, container) = (Arc::clone(options), Arc::clone(container));
        Ok(Plan { options, container, target, about, subprotocols, home: Arc::new(home) })
    }

    /// Makes the connection, within the client's time.
    pub(super) async fn open(&self) -> Result<Upgraded, ConnectError> {
        tracing::debug!(url = %self.target, endpoint = self.about.type_name, "connecting");
        let progress = Progress::begin(self.options.timeout);
        let stop = std::pin::pin!(self.container.stop.cancelled());
        let opening = std::pin::pin!(progress.within(self.follow(&progress)));
        let opened = match select(stop, opening).await {
            Either::Left(_) => Err(ConnectError::ShutDown),
            Either::Right((opened, _)) => opened,
        };
        match &opened {
            Ok(upgraded) => {
                let (session, handshake) = (&upgraded.session, upgraded.session.handshake());
                tracing::info!(
                    session = %session.id(),
                    url = %self.target,
                    endpoint = self.about.type_name,
                    peer = ?handshake.peer_addr(),
                    subprotocol = handshake.subprotocol(),
                    "connected"
                );
            }
            Err(error) => {
                tracing::debug!(url = %self.target, endpoint = self.about.type_name, %error, "not connected");
                // Who had an answer has heard of it.
                if !matches!(
                    error,
                    ConnectError::Refused { .. } | ConnectError::Redirect(_) | ConnectError::Invalid(_)
                ) {
                    self.options.heard(None);
                }
            }
        }
        opened
    }

    /// Asks, and goes where it is sent.
    async fn follow(&self, progress: &Progress) -> Result<Upgraded, ConnectError> {
        let mut target = self.target.clone();
        // What was told in confidence to the first is not told to others, nor again to the first when others send us there.
        let mut trusted = true;
        for left in (0..=self.options.redirects).rev() {
            let (head, body) = match self.ask(&target, trusted, progress).await? {
                Asked::Open(upgraded) => return Ok(*upgraded),
                Asked::Refused(head, body) => (head, body),
            };
            let location = head.headers.get(LOCATION).filter(|_| is_redirect(head.status));
            let (Some(location), true) = (location, self.options.redirects > 0) else {
                let (status, headers) = (head.status, Box::new(head.headers));
                return Err(ConnectError::Refused { status, headers, body });
            };
            if left == 0 {
                break;
            }
            let to = location.to_str().map_err(|_| "its `Location` is no text".to_owned());
            let to = to.and_then(|to| target.join(to)).map_err(ConnectError::Redirect)?;
            if target.secure && !to.secure {
                return Err(ConnectError::Redirect(format!("{to} is not encrypted, and {target} is")));
            }
            tracing::debug!(from = %target, %to, status = head.status.as_u16(), "redirected");
            trusted = trusted && to.is_same_origin(&target);
            // On the way within the first's own house, its key still fits.
            let user = target.user.take().filter(|_| trusted);
            target = Target { user, ..to };
        }
        Err(ConnectError::Redirect(format!("more than {} times", self.options.redirects)))
    }

    /// Asks one server.
    async fn ask(&self, target: &Target, trusted: bool, progress: &Progress) -> Result<Asked, ConnectError> {
        let options = &self.options;
        let finish = |headers: &mut _| options.before_request.iter().for_each(|act| act(headers));
        let (own, compression) = (&options.extensions, self.home.limits.compression);
        let asking =
            Asking::new(target, &options.headers, &self.subprotocols, own, compression, trusted, finish);
        let uri = target.uri();
        let handshake = |ends| Handshake::of_client(&uri, &asking.headers, ends);
        // What the endpoint's parameters want of the URL can be seen before anybody is bothered.
        (self.about.admit)(&handshake(Ends::default()))
            .map_err(|refusal| ConnectError::Argument(refusal.reason().to_string()))?;

        let (stream, mut ends) = dial(target, options.proxy.as_ref(), progress).await?;
        ends.secure = target.secure;
        let answer = if target.secure {
            self.exchange_encrypted(target, trusted, stream, &asking, progress).await?
        } else {
            let talk = exchange(stream, asking.request(target));
            progress.step(ConnectStep::Handshake, target, talk).await?
        };
        match answer {
            Answer::Said(head, body) => {
                options.heard(Some(&head));
                Ok(Asked::Refused(head, body))
            }
            Answer::Upgraded(head, stream) => {
                options.heard(Some(&head));
                let agreed = asking.accept(&head.headers).map_err(ConnectError::Invalid)?;
                let mut handshake = handshake(ends);
                handshake.answered(&head.headers, agreed.subprotocol, agreed.extensions);
                handshake.deflate = agreed.deflate;
                options.attributes.sow(handshake.attributes());
                let session = Session::new(Arc::clone(&self.home), handshake);
                let (transport, read_ahead) = Transport::from_upgraded(stream);
                let timers = Timers::new();
                let role = Role::Client;
                let places = None;
                Ok(Asked::Open(Box::new(Upgraded { session, transport, read_ahead, timers, role, places })))
            }
        }
    }

    #[cfg(feature = "tls")]
    async fn exchange_encrypted(
        &self,
        target: &Target,
        trusted: bool,
        stream: TcpStream,
        asking: &Asking,
        progress: &Progress,
    ) -> Result<Answer, ConnectError> {
        let tls = self.options.tls.connect(&target.host, trusted, stream);
        let stream = progress.step(ConnectStep::Tls, target, tls).await?;
        let talk = exchange(stream, asking.request(target));
        progress.step(ConnectStep::Handshake, target, talk).await
    }

    /// Only a redirection gets here: a URL of the user's was checked before.
    #[cfg(not(feature = "tls"))]
    async fn exchange_encrypted(
        &self,
        _: &Target,
        _: bool,
        _: TcpStream,
        _: &Asking,
        _: &Progress,
    ) -> Result<Answer, ConnectError> {
        Err(ConnectError::Setup(vec![super::NO_TLS.to_owned()]))
    }

    /// Runs a connection until its session has ended. It says why it ended, and gives the instance back.
    pub(super) fn run(
        &self,
        driver: Box<dyn Driver>,
        upgraded: Upgraded,
        opened: Option<Opened>,
    ) -> BoxFuture<(Option<Box<dyn Driver>>, CloseReason)> {
        let session = upgraded.session.clone();
        let timers = upgraded.timers.clone();
        let running = driver.drive(upgraded, opened);
        Box::pin(async move {
            // A client's connections may live in several runtimes, and each of those may end before the others: so each has a clock
            // of its own, which goes as long as it does.
            let driver = match select(running, std::pin::pin!(timers.run())).await {
                Either::Left((driver, _)) => driver,
                Either::Right(((), running)) => running.await,
            };
            let reason = session.close_reason().cloned();
            (driver, reason.unwrap_or_else(|| CloseReason::lost("the connection was lost")))
        })
    }
}

/// What one server said.
enum Asked {
    Open(Box<Upgraded>),
    Refused(Parts, bytes::Bytes),
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Each component that is needed and not there.
fn missing(endpoint: &str, needs: &[Need], application: &ApplicationContext) -> Vec<String> {
    let mut unmet = Unmet::default();
    unmet.add(application, endpoint, needs);
    unmet.into_problems().map(|problem| problem.to_string()).collect()
}
