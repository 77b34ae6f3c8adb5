//! [`Door`]: every request comes to it, and becomes a session, a refusal, or a request for the fallback.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;

use super::body::{self, Answer, ResponseBody};
use crate::connection::{Timers, Transport, Upgraded};
use crate::endpoint::Refusal;
use crate::exporter::Launcher;
use crate::handshake::{self, Opening, OriginRule};
use crate::message::Text;
use crate::path::{BadEncoding, Match, PathParams, Router};
use crate::session::{Ends, Handshake, Home, Session, Sessions};
use crate::settings::Settings;
use crate::wire::Role;

/// One endpoint at its path.
pub(crate) struct Deployed {
    pub(crate) home: Arc<Home>,
    pub(crate) origins: OriginRule,
    pub(crate) subprotocols: Vec<Text>,
    pub(crate) launcher: Arc<dyn Launcher>,
}

pub(crate) struct Door {
    router: Router<Arc<Deployed>>,
    fallback: Option<Answer>,
    /// The tower layers around the endpoints, if there are any.
    layered: Option<Answer>,
    settings: Settings,
    sessions: Sessions,
    timers: Timers,
    tasks: TaskTracker,
    draining: AtomicBool,
    /// Connections that speak HTTP: not yet upgraded, or never to be.
    http: AtomicUsize,
}

impl Door {
    pub(crate) fn new(
        router: Router<Arc<Deployed>>,
        fallback: Option<Answer>,
        layered: Option<Answer>,
        settings: Settings,
        sessions: Sessions,
    ) -> Self {
        Door {
            router,
            fallback,
            layered,
            settings,
            sessions,
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
        &self.sessions
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    /// The tasks that run the sessions.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// From now on every handshake gets 503.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Counts a connection that speaks HTTP, for as long as the guard lives.
    pub(crate) fn admit(self: &Arc<Self>) -> Admission {
        let limit = self.settings.max_connections;
        let others = self.http.fetch_add(1, Ordering::AcqRel) + self.sessions.count();
        let over = if limit == 0 { 0 } else { (others + 1).saturating_sub(limit) };
        Admission { door: Arc::clone(self), over }
    }

    /// Answers one request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        ends: Ends,
        full: bool,
    ) -> Response<ResponseBody> {
        let path = request.uri().path().to_owned();
        if full {
            return self.refuse(&path, handshake::unavailable("the server is full, try again later"));
        }
        let Some(Match { value: deployed, params }) = self.router.find(&path) else {
            return match &self.fallback {
                Some(fallback) => fallback(request).await,
                None => self.refuse(&path, handshake::not_found()),
            };
        };
        if self.is_draining() {
            return self
                .refuse(&path, handshake::unavailable("the server is shutting down, try again later"));
        }
        let matched = Matched { door: Arc::clone(&self), deployed: Arc::clone(deployed), params, ends };
        match &self.layered {
            Some(layered) => {
                // What goes through the layers must find its way back: it travels with the request.
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
        let Matched { deployed, params, ends, .. } = matched;
        let path = request.uri().path().to_owned();
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
                    let response = fallback(Request::from_parts(head, rest)).await;
                    if response.status() != StatusCode::NOT_FOUND {
                        return response;
                    }
                }
                return self.refuse(&path, refusal);
            }
        };
        let params = match params {
            Ok(params) => params,
            Err(error) => return self.refuse(&path, Refusal::bad_request(error.to_string())),
        };
        let mut handshake = Handshake::new(&mut head, params, ends);
        if let Err(refusal) = negotiate(&deployed, &mut handshake) {
            return self.refuse(&path, refusal);
        }
        tracing::debug!(path = deployed.home.path, peer = ?ends.remote, subprotocol = handshake.subprotocol(), "accepted");
        let response = opening.accept::<()>(handshake.subprotocol.as_ref());
        self.tasks.clone().spawn(async move {
            match upgrade.await {
                Ok(upgraded) => self.enter(&deployed, handshake, upgraded),
                Err(error) => tracing::debug!(%error, "the peer left during the handshake"),
            }
        });
        response.map(|()| body::empty())
    }

    fn enter(&self, deployed: &Deployed, handshake: Handshake, upgraded: hyper::upgrade::Upgraded) {
        let session = Session::new(Arc::clone(&deployed.home), handshake);
        let (transport, read_ahead) = Transport::from_upgraded(upgraded);
        let timers = self.timers.clone();
        deployed
            .launcher
            .launch(Upgraded { session, transport, read_ahead, timers, role: Role::Server }, &self.tasks);
    }

    fn refuse(&self, path: &str, refusal: Refusal) -> Response<ResponseBody> {
        tracing::debug!(path, status = refusal.status().as_u16(), reason = %refusal.reason(), "refused");
        body::refused(refusal)
    }
}

/// A request whose endpoint is found, on its way through the tower layers.
#[derive(Clone)]
struct Matched {
    door: Arc<Door>,
    deployed: Arc<Deployed>,
    params: Result<PathParams, BadEncoding>,
    ends: Ends,
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

/// Origin, then what the parameters ask for, then the subprotocol.
fn negotiate(deployed: &Deployed, handshake: &mut Handshake) -> Result<(), Refusal> {
    if !deployed.origins.admits(handshake) {
        return Err(Refusal::forbidden("this origin may not connect"));
    }
    deployed.launcher.admit(handshake)?;
    handshake.subprotocol = handshake::choose_subprotocol(handshake, &deployed.subprotocols);
    Ok(())
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

/// A connection's place among those that speak HTTP.
#[derive(Debug)]
pub(crate) struct Admission {
    door: Arc<Door>,
    over: usize,
}

impl Admission {
    /// By how many connections the server is over its limit with this one.
    pub(crate) fn over(&self) -> usize {
        self.over
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.door.http.fetch_sub(1, Ordering::AcqRel);
    }
}
