//! [`Door`]: every request comes to it, and becomes a session, a refusal, or a request for the fallback.

mod admission;
mod entry;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::header::{CONNECTION, HeaderValue};
use http::{Extensions, Request, Response, StatusCode, request};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;
use tokio_util::task::TaskTracker;

pub(crate) use self::admission::{Admission, Full};
pub(super) use self::entry::{Accepted, Asks, Entry};
use super::arrival::Arrival;
use super::body::{self, Answer, ResponseBody};
use super::container::Container;
use super::deployments::{Deployed, Deployments, Mounted};
use super::limits::{self, Counted, Crowd};
use crate::access::Identity;
#[cfg(feature = "http2")]
use crate::connection::Http2Stream;
use crate::connection::{Timers, Transport, Upgraded};
use crate::context::ApplicationContext;
use crate::error::Refusal;
use crate::handshake::{self, Opening};
use crate::ledger::{Places, Tally};
use crate::path::{BadEncoding, PathParams};
use crate::session::{Ends, Handshake, Session, Sessions};
use crate::settings::{Proxies, Settings};
use crate::wire::Role;

pub(crate) struct Door {
    deployments: Deployments,
    fallback: Option<Answer>,
    /// The tower layers around the endpoints, if there are any.
    layered: Option<Answer>,
    settings: Settings,
    container: Container,
    context: ApplicationContext,
    timers: Timers,
    tasks: TaskTracker,
    draining: AtomicBool,
    /// Connections that speak HTTP: not yet upgraded, or never to be.
    http: AtomicUsize,
    crowd: Crowd,
    proxies: Proxies,
}

impl Door {
    pub(crate) fn new(
        router: Mounted,
        fallback: Option<Answer>,
        layered: Option<Answer>,
        settings: Settings,
        container: Container,
        context: ApplicationContext,
    ) -> Self {
        Door {
            deployments: Deployments::new(router),
            fallback,
            layered,
            crowd: Crowd::new(&settings, container.sessions().ledger()),
            // What is none was a problem of the deployment.
            proxies: Proxies::new(&settings.trusted_proxies).unwrap_or_default(),
            settings,
            container,
            context,
            timers: Timers::new(),
            tasks: TaskTracker::new(),
            draining: AtomicBool::new(false),
            http: AtomicUsize::new(0),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        self.container.sessions()
    }

    pub(crate) fn container(&self) -> &Container {
        &self.container
    }

    pub(crate) fn context(&self) -> &ApplicationContext {
        &self.context
    }

    pub(crate) fn deployments(&self) -> &Deployments {
        &self.deployments
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    /// What is counted.
    pub(crate) fn tally(&self) -> &Tally {
        self.sessions().tally()
    }

    /// Whether the PROXY protocol's word is taken of whoever is at the other end.
    pub(super) fn takes_the_word_of(&self, ends: &Ends) -> bool {
        self.proxies.are_none() || self.is_of_proxy(ends)
    }

    /// Whether a trusted proxy is at the other end, behind which there are many clients.
    pub(super) fn is_of_proxy(&self, ends: &Ends) -> bool {
        self.proxies.have(ends.remote.map(|remote| remote.ip()))
    }

    /// The tasks that run the sessions.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// From now on every handshake gets 503, but for those of connections whose address others take over.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether a handshake comes too late. Where others take over the address there is no too late: it becomes a session, which is closed at once.
    fn turns_away(&self, handed_over: bool) -> bool {
        self.is_draining() && !handed_over
    }

    /// Counts a connection from its first byte on, for as long as it speaks HTTP and the guard lives.
    pub(crate) fn admit(self: &Arc<Self>) -> Admission {
        let limit = self.settings.max_connections;
        let others = self.http.fetch_add(1, Ordering::AcqRel) + self.sessions().count();
        let over = if limit == 0 { 0 } else { (others + 1).saturating_sub(limit) };
        if over > 0 {
            self.note_full();
        }
        Admission::new(Arc::clone(self), over)
    }

    /// There is one connection too many.
    fn note_full(&self) {
        if let Some(unsaid) = self.tally().refused_full.note() {
            let limit = self.settings.max_connections;
            tracing::warn!(limit, unsaid, "connections are refused: the server is full (`max_connections`)");
        }
    }

    /// Answers one request.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        arrival: &Arrival,
        entry: &Entry,
    ) -> Response<ResponseBody> {
        entry.ask(Asks::Now);
        let answer = self.answer_to(request, arrival, entry).await;
        entry.ask(Asks::NothingMore);
        answer
    }

    /// The ends of a connection, as a proxy that is trusted introduces whoever is behind it.
    pub(super) fn introduced<B>(&self, request: &mut Request<B>, ends: Ends) -> Result<Ends, Refusal> {
        match self.proxies.read(request.headers(), request.uri().authority(), &ends) {
            Ok(None) => Ok(ends),
            Ok(Some(forwarded)) => {
                forwarded.host.map(|host| request.extensions_mut().insert(host));
                Ok(forwarded.ends)
            }
            Err(fault) => {
                self.tally().proxy_errors.add(1);
                Err(Refusal::bad_request(fault.to_string()))
            }
        }
    }

    async fn answer_to(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        arrival: &Arrival,
        entry: &Entry,
    ) -> Response<ResponseBody> {
        let Arrival { rules, ends, full, .. } = arrival;
        let ends = match self.introduced(&mut request, ends.clone()) {
            Ok(ends) => ends,
            Err(refusal) => return self.refuse(request.uri().path(), refusal),
        };
        let path = request.uri().path();
        match full {
            None => {}
            Some(Full::Server) => return self.refuse(path, crowded()),
            Some(Full::Address) => return self.refuse(path, limits::crowded_address()),
        }
        let Some((deployed, params)) = self.deployments.find(path, |config| rules.admit(config)) else {
            return match &self.fallback {
                Some(fallback) => match self.body_fault(request.body()) {
                    Some(refusal) => self.refuse(path, refusal),
                    None => {
                        self.introduce(request.extensions_mut(), &ends, rules.handed_over);
                        fallback(request).await
                    }
                },
                None => self.refuse(path, handshake::not_found()),
            };
        };
        let handed_over = rules.handed_over;
        if let Err(refusal) = self.may_begin(&ends, handed_over) {
            return self.refuse(path, refusal);
        }
        let entry = entry.clone();
        let matched = Matched { door: Arc::clone(&self), deployed, params, ends, entry, handed_over };
        match &self.layered {
            Some(layered) => {
                // What goes through the layers must find its way back: it travels with the request.
                self.introduce(request.extensions_mut(), &matched.ends, handed_over);
                request.extensions_mut().insert(matched);
                layered(request).await
            }
            None => self.open(request, matched).await,
        }
    }

    /// Answers a request for an endpoint.
    async fn open(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        matched: Matched,
    ) -> Response<ResponseBody> {
        let Matched { deployed, params, ends, entry, handed_over, .. } = matched;
        // hyper keeps the connection for whoever holds this.
        let upgrade = hyper::upgrade::on(&mut request);
        let (mut head, rest) = request.into_parts();
        let opening = match Opening::read(&head) {
            Ok(opening) => opening,
            Err(refusal) => {
                // A page may live at an endpoint's path: whoever does not ask for a WebSocket is shown it.
                if let Some(fallback) = &self.fallback
                    && !handshake::asks_for_websocket(&head)
                {
                    if let Some(refusal) = self.body_fault(&rest) {
                        return self.refuse(head.uri.path(), refusal);
                    }
                    self.introduce(&mut head.extensions, &ends, handed_over);
                    let path = head.uri.path().to_owned();
                    let response = fallback(Request::from_parts(head, rest)).await;
                    if response.status() != StatusCode::NOT_FOUND {
                        return response;
                    }
                    return self.refuse(&path, refusal);
                }
                return self.refuse(head.uri.path(), refusal);
            }
        };
        let params = match params {
            Ok(params) => params,
            Err(error) => return self.refuse(head.uri.path(), Refusal::bad_request(error.to_string())),
        };
        take_ours(&mut head.extensions);
        let counted = if ends.counted { Counted::HandedOver } else { Counted::No };
        let handshake = Handshake::new(&mut head, params, ends);
        match self.accept(opening, handshake, deployed, counted, handed_over).await {
            Ok((accepted, response)) => {
                entry.leave(accepted, upgrade);
                response
            }
            Err(response) => response,
        }
    }

    /// Answers a request that somebody else wants to have upgraded to this endpoint; `None` if nobody has its connection.
    pub(super) async fn upgrade(
        self: Arc<Self>,
        mut head: request::Parts,
        deployed: Arc<Deployed>,
        params: PathParams,
    ) -> Option<Response<ResponseBody>> {
        let (ends, handed_over) = take_ours(&mut head.extensions);
        let opening = match Opening::read(&head) {
            Ok(opening) => opening,
            Err(refusal) => return Some(self.refuse(head.uri.path(), refusal)),
        };
        // hyper leaves it in requests that ask for an upgrade.
        let upgrade = head.extensions.remove::<OnUpgrade>()?;
        if let Err(refusal) = self.may_begin(&ends, handed_over) {
            return Some(self.refuse(head.uri.path(), refusal));
        }
        // Our own listeners count connections before there is a request; another server's do not.
        let limit = self.settings.max_connections;
        if limit > 0 && self.sessions().count() >= limit {
            self.note_full();
            return Some(self.refuse(head.uri.path(), crowded()));
        }
        let counted = if ends.counted { Counted::GivenBack } else { Counted::No };
        let handshake = Handshake::new(&mut head, params, ends);
        // Whoever serves the connection knows nothing of the session.
        Some(match self.accept(opening, handshake, deployed, counted, handed_over).await {
            Ok((accepted, response)) => {
                self.tasks.clone().spawn(async move { self.enter(accepted, upgrade).await });
                response
            }
            Err(response) => response,
        })
    }

    /// Whether a handshake may be looked at at all, at this moment.
    fn may_begin(&self, ends: &Ends, handed_over: bool) -> Result<(), Refusal> {
        if self.turns_away(handed_over) {
            self.tally().refused_draining.add(1);
            return Err(stopping());
        }
        if self.sessions().queues().are_tight() {
            if let Some(unsaid) = self.tally().refused_memory.note() {
                tracing::warn!(unsaid, "handshakes are refused: queues hold too much (`max_queue_memory`)");
            }
            return Err(limits::short_of_memory());
        }
        self.crowd.handshake(self.counted_address(ends.remote), self.tally())
    }

    /// Why the fallback does not get this body, if it does not.
    fn body_fault(&self, body: &Incoming) -> Option<Refusal> {
        let limit = self.settings.max_body_size as u64;
        let refusal = match body.size_hint().upper() {
            _ if limit == 0 => return None,
            Some(size) if size <= limit => return None,
            Some(_) => Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            None => Refusal::new(StatusCode::LENGTH_REQUIRED, "say how large the body is, in Content-Length"),
        };
        if let Some(unsaid) = self.tally().refused_body.note() {
            tracing::warn!(limit, unsaid, "requests are refused: the body is too large (`max_body_size`)");
        }
        // What is left of the body is not waited for.
        Some(refusal.header(CONNECTION, HeaderValue::from_static("close")))
    }

    /// Has the endpoint decide about a handshake; `Err` is a refusal.
    async fn accept(
        &self,
        opening: Opening,
        mut handshake: Handshake,
        deployed: Arc<Deployed>,
        counted: Counted,
        handed_over: bool,
    ) -> Result<(Accepted, Response<ResponseBody>), Response<ResponseBody>> {
        let admit = |handshake: &Handshake| deployed.launcher.admit(handshake);
        let limit = self.settings.handshake_timeout;
        let negotiated =
            deployed.terms.negotiate(&deployed.home, opening, &mut handshake, admit, limit).await;
        let refusal = match negotiated {
            Err(refusal) => refusal,
            // What may have happened while the configurator made up its mind.
            Ok(_) if self.turns_away(handed_over) => {
                self.tally().refused_draining.add(1);
                stopping()
            }
            Ok(_) if deployed.home.is_gone() => handshake::not_found(),
            Ok(response) => match self.places(&handshake, counted) {
                Ok(places) => {
                    let (path, peer) = (&deployed.home.path, handshake.peer_addr());
                    tracing::debug!(path, ?peer, subprotocol = handshake.subprotocol(), "accepted");
                    self.tally().accepted.add(1);
                    let accepted = Accepted {
                        deployed,
                        handshake,
                        places,
                        #[cfg(feature = "http2")]
                        stream: Http2Stream::current(),
                    };
                    return Ok((accepted, response.map(|()| body::empty())));
                }
                Err(refusal) => refusal,
            },
        };
        Err(self.refuse(handshake.path(), refusal))
    }

    /// The address for which somebody counts; not a trusted proxy's, behind which there are many of whom nobody knows who they are.
    fn counted_address(&self, remote: Option<SocketAddr>) -> Option<IpAddr> {
        remote.map(|remote| remote.ip()).filter(|&address| !self.proxies.have(Some(address)))
    }

    /// What a session takes that is limited for each address and principal.
    fn places(&self, handshake: &Handshake, counted: Counted) -> Result<Option<Box<Places>>, Refusal> {
        let address = self.counted_address(handshake.peer_addr());
        let principal = handshake.identity().and_then(Identity::name);
        self.crowd.admit(address, counted, principal, self.tally())
    }

    /// Makes a session of what was accepted, as soon as the response has been sent.
    pub(super) async fn enter(&self, accepted: Accepted, upgrade: OnUpgrade) {
        let Accepted { deployed, handshake, places, .. } = accepted;
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "the peer left during the handshake"),
        };
        let session = Session::new(Arc::clone(&deployed.home), handshake);
        #[cfg(feature = "json")]
        if let Some(resumption) = deployed.resumption_of(session.handshake()) {
            session.go_on_by(resumption);
        }
        let (transport, read_ahead) = Transport::from_upgraded(upgraded);
        #[cfg(feature = "http2")]
        let transport = transport.of(accepted.stream);
        let timers = self.timers.clone();
        deployed.launcher.launch(
            Upgraded { session, transport, read_ahead, timers, role: Role::Server, places },
            &self.tasks,
        );
    }

    pub(super) fn refuse(&self, path: &str, refusal: Refusal) -> Response<ResponseBody> {
        if refusal.status().as_u16() >= 400 {
            self.tally().http_errors.add(1);
        }
        tracing::debug!(path, status = refusal.status().as_u16(), reason = refusal.reason(), "refused");
        body::refused(refusal)
    }

    /// Tells the application's own services where they are, so that they can upgrade requests.
    fn introduce(&self, extensions: &mut Extensions, ends: &Ends, handed_over: bool) {
        extensions.insert(self.container.clone());
        extensions.insert(ends.clone());
        if handed_over {
            extensions.insert(HandedOver);
        }
    }
}

/// Takes out what is ours, so that no session keeps it: the ends, and whether others take over the address.
fn take_ours(extensions: &mut Extensions) -> (Ends, bool) {
    extensions.remove::<Matched>();
    extensions.remove::<Container>();
    let handed_over = extensions.remove::<HandedOver>().is_some();
    (extensions.remove::<Ends>().unwrap_or_default(), handed_over)
}

/// Stands in a request that came to an address that others take over.
#[derive(Clone, Copy)]
struct HandedOver;

fn crowded() -> Refusal {
    handshake::unavailable("the server is full, try again later")
}

fn stopping() -> Refusal {
    handshake::unavailable("the server is shutting down, try again later")
}

/// A request whose endpoint is found, on its way through the tower layers.
#[derive(Clone)]
struct Matched {
    door: Arc<Door>,
    deployed: Arc<Deployed>,
    params: Result<PathParams, BadEncoding>,
    ends: Ends,
    entry: Entry,
    handed_over: bool,
}

/// What stands inside the layers: the endpoints.
pub(crate) fn endpoints() -> Answer {
    Arc::new(|mut request| {
        let matched = request.extensions_mut().remove::<Matched>();
        Box::pin(async move {
            match matched {
                Some(matched) => Arc::clone(&matched.door).open(request, matched).await,
                // A layer has made a request of its own, which is nobody's handshake.
                None => body::refused(handshake::not_found()),
            }
        })
    })
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("sessions", self.sessions()).finish_non_exhaustive()
    }
}
