//! [`Container`]: the running server, for the application inside of it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use http::{Request, Response};
use tokio::sync::watch;

use super::Server;
use super::body::ResponseBody;
use super::deployments::{announce, mount_beside};
use super::door::Door;
use super::endpoint::ServerEndpointConfig;
use crate::cluster::Cluster;
use crate::context::{ApplicationContext, Injected};
use crate::endpoint::{Context, FromContext};
use crate::error::{DeployError, Problem, Result};
use crate::ledger::Counters;
use crate::path::PathParams;
use crate::session::{Session, Sessions, undeployed};

/// The server that an application runs in (Jakarta's `ServerContainer`, SES-02, DP-05 to DP-08): endpoints come and go while it serves. Cheap to
/// clone, and it keeps no server alive.
///
/// A handler takes it as a parameter, an endpoint or component has it injected, a session [has it](Session::container), a service behind
/// [`fallback`](crate::ServerEndpointExporter::fallback) and a layer find it in the request's extensions, and everybody else gets it from
/// [`Server::container`].
///
/// ```
/// use endpoint_runtime::prelude::*;
/// use endpoint_runtime::{Container, Endpoint, ServerEndpointConfig};
///
/// struct Game(u32);
/// impl Endpoint for Game {}
///
/// #[server_endpoint("/lobby")]
/// struct Lobby;
///
/// #[handlers]
/// impl Lobby {
///     /// Opens a game of its own for each message, and closes it.
///     #[on_message]
///     fn play(&self, number: u32, container: Container) -> Result<String> {
///         let path = format!("/games/{number}");
///         container.deploy(ServerEndpointConfig::builder(&path, move || Game(number)).build())?;
///         Ok(path)
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Container(Arc<Inner>);

struct Inner {
    sessions: Sessions,
    /// Set when the server opens. Weak, because the server's endpoints may hold the container.
    door: OnceLock<Weak<Door>>,
    ready: watch::Sender<bool>,
    standing: Mutex<Standing>,
    cluster: Option<Cluster>,
}

/// What makes a server ready.
#[derive(Clone, Copy, Default)]
struct Standing {
    /// It accepts connections, and is not about to stop.
    open: bool,
    /// It cannot reach the other nodes of its cluster.
    isolated: bool,
}

impl Container {
    /// A container without a server yet.
    pub(crate) fn new(sessions: Sessions) -> Self {
        Self::of(sessions, None)
    }

    /// The same, of a node of a cluster.
    pub(crate) fn of(sessions: Sessions, cluster: Option<Cluster>) -> Self {
        Container(Arc::new(Inner {
            sessions,
            door: OnceLock::new(),
            ready: watch::Sender::new(false),
            standing: Mutex::default(),
            cluster,
        }))
    }

    /// The cluster that the server is a node of, if it has an [engine](crate::ServerEndpointExporter::cluster).
    pub fn cluster(&self) -> Option<Cluster> {
        self.0.cluster.clone()
    }

    /// From now on it is this server's.
    pub(super) fn attach(&self, door: &Arc<Door>) {
        // A server opens once.
        let _ = self.0.door.set(Arc::downgrade(door));
    }

    /// The server accepts connections, or is about to stop.
    pub(super) fn set_ready(&self, ready: bool) {
        self.stand(|standing| standing.open = ready);
    }

    /// The server cannot reach the other nodes of its cluster; or it can again, which does not make it ready if it is about to stop.
    pub(crate) fn set_isolated(&self, isolated: bool) {
        self.stand(|standing| standing.isolated = isolated);
    }

    fn stand(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = self.0.standing.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut standing);
        let ready = standing.open && !standing.isolated;
        // Under the lock, so that of two changes the later is what is seen.
        self.0.ready.send_if_modified(|before| std::mem::replace(before, ready) != ready);
    }

    /// Whether the server wants to be sent more connections: from the moment when all listeners are open until a shutdown begins, which is
    /// `drain_delay` before it closes the first of them. What a load balancer is to be told, by a health page of the application's own. A
    /// server that cannot reach the other nodes of its cluster for more than 5 s is not ready until it can, unless it is to be
    /// ([`ready_when_isolated`](crate::Settings::ready_when_isolated)).
    pub fn is_ready(&self) -> bool {
        *self.0.ready.borrow()
    }

    /// [`is_ready`](Self::is_ready), and its changes.
    ///
    /// ```
    /// # async fn f(container: endpoint_runtime::Container) {
    /// let mut readiness = container.readiness();
    /// // Until it is to stop, or has:
    /// let _ = readiness.wait_for(|ready| !ready).await;
    /// # }
    /// ```
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.0.ready.subscribe()
    }

    fn door(&self) -> Option<Arc<Door>> {
        self.0.door.get().and_then(Weak::upgrade)
    }

    /// The server, if endpoints can still be added to it.
    fn serving(&self) -> Result<Arc<Door>, DeployError> {
        let problem = |text: &str| DeployError::new(vec![Problem::new(text)]);
        let door = self.door().ok_or_else(|| problem("there is no running server to deploy to"))?;
        if door.is_draining() { Err(problem("the server is shutting down")) } else { Ok(door) }
    }

    /// Every session of the server.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What was counted since the server was started: who came in, who was refused and why, what was dropped.
    ///
    /// ```
    /// # fn f(container: &endpoint_runtime::Container) {
    /// let counted = container.counters();
    /// println!("{} sessions, {} more than the server would take", counted.accepted, counted.refused_full);
    /// # }
    /// ```
    pub fn counters(&self) -> Counters {
        self.sessions().tally().read()
    }

    /// What is deployed at this moment, in the order in which it was.
    pub fn endpoints(&self) -> Vec<ServerEndpointConfig> {
        let Some(door) = self.door() else { return Vec::new() };
        door.deployments().mounted().iter().map(|(_, deployed)| deployed.config.clone()).collect()
    }

    /// Deploys an endpoint, an annotated one ([`ServerEndpointConfig::of`]) or a programmatic one: when this returns, handshakes at its path
    /// are accepted. An endpoint that is deployed already, the same annotated type or a clone of the same configuration, is left as it is
    /// (Jakarta DP-06).
    ///
    /// # Errors
    /// All that is wrong, as at the start of a server: a malformed path, one that another endpoint has (the text names both places), missing
    /// components, and here [lazy](crate::ComponentConfig::lazy) ones that are not built; an instance that could not be made; or the server has
    /// stopped. Then nothing has changed.
    pub fn deploy(&self, config: ServerEndpointConfig) -> Result<(), DeployError> {
        let door = self.serving()?;
        let config = config.under(&door.settings().prefix);
        loop {
            let mounted = door.deployments().mounted();
            if mounted.iter().any(|(_, other)| other.config.is_same(&config)) {
                return Ok(());
            }
            let (template, deployed) = mount_beside(
                config.clone(),
                mounted.iter(),
                door.settings(),
                self.sessions(),
                door.context(),
            )?;
            let deployed = Arc::new(deployed);
            match door.deployments().mount(template, Arc::clone(&deployed)) {
                Ok(true) => announce(&deployed),
                Ok(false) => {}
                // Somebody else was faster: what is wrong is to be said in the usual words.
                Err(_) => continue,
            }
            return Ok(());
        }
    }

    /// Takes away the endpoint that was deployed with this path template, written as it is served, with the [prefix](crate::Settings::prefix). New handshakes get 404 from now on, and its sessions are closed with
    /// 1001: how many it says, and `None` if there is no such endpoint. They end in the background.
    pub fn undeploy(&self, path: &str) -> Option<usize> {
        let deployed = self.door()?.deployments().unmount(path)?;
        // In this order: a session that comes in meanwhile is either found here, or finds out itself.
        deployed.home.leave();
        let reason = undeployed();
        let sessions = self.sessions().of_endpoint(&deployed.home);
        let closed = sessions
            .iter()
            .filter(|session| Arc::ptr_eq(session.home(), &deployed.home) && session.begin_close(&reason))
            .count();
        tracing::info!(
            path,
            endpoint = deployed.config.type_name(),
            sessions = closed,
            "endpoint undeployed"
        );
        Some(closed)
    }

    /// Turns an HTTP request into a session of an endpoint that need not be deployed (Jakarta's `upgradeHttpToWebSocket`, DP-07): for a
    /// service that answers requests itself, behind [`fallback`](crate::ServerEndpointExporter::fallback) or in a layer, and decides what they
    /// become. The service returns the response; the session begins when it has been sent.
    ///
    /// The handshake is the endpoint's as always: origin, configurator, parameters, subprotocol. Its `#[path]` parameters get the values of
    /// `params`. What is refused is an HTTP response too: 426 for a request that is no handshake, 503 while the server shuts down.
    ///
    /// All sessions of one annotated type, or of clones of one configuration, belong to one endpoint; it is made for the first of them, or is
    /// the deployed one. A singleton is one instance for all of them.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use endpoint_runtime::http::{Request, Response};
    /// use endpoint_runtime::prelude::*;
    /// use endpoint_runtime::{Container, PathParams, ResponseBody, ServerEndpointConfig};
    ///
    /// #[server_endpoint("/tenants/{tenant}")]
    /// struct Tenant;
    ///
    /// #[handlers]
    /// impl Tenant {
    ///     #[on_open]
    ///     fn open(&self, #[path] tenant: String) -> String {
    ///         format!("welcome to {tenant}")
    ///     }
    /// }
    ///
    /// /// The host says who the tenant is.
    /// async fn answer<B>(request: Request<B>) -> Result<Response<ResponseBody>> {
    ///     let Some(container) = request.extensions().get::<Container>().cloned() else {
    ///         return Err(Error::msg("this is not behind a server of ours"));
    ///     };
    ///     let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    ///     let params = PathParams::from([("tenant", host.split('.').next().unwrap_or(host))]);
    ///     Ok(container.upgrade(request, &ServerEndpointConfig::of::<Tenant>(), params).await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// The endpoint could not be deployed, for whatever is wrong with it; its path need not be free. Or there is no running server, or the request
    /// did not come over a connection that can be upgraded.
    pub async fn upgrade<B>(
        &self,
        request: Request<B>,
        config: &ServerEndpointConfig,
        params: PathParams,
    ) -> Result<Response<ResponseBody>, DeployError> {
        let problem = |text: &str| DeployError::new(vec![Problem::new(text)]);
        let door = self.door().ok_or_else(|| problem("there is no running server"))?;
        let deployed = door.deployments().of(config, || {
            let nobody = std::iter::empty();
            let (_, deployed) =
                mount_beside(config.clone(), nobody, door.settings(), self.sessions(), door.context())?;
            Ok(Arc::new(deployed))
        })?;
        let (head, _) = request.into_parts();
        door.upgrade(head, deployed, params).await.ok_or_else(|| {
            problem("this request's connection cannot be upgraded: it is not hyper's, or somebody has taken it already")
        })
    }
}

impl Server {
    /// The server as the application inside of it knows it.
    pub fn container(&self) -> &Container {
        self.door.container()
    }

    /// Whether it wants more connections, and when that changes: see [`Container::readiness`].
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.container().readiness()
    }

    /// The components of the application: for whoever has started it.
    pub fn context(&self) -> &ApplicationContext {
        self.door.context()
    }

    /// Deploys an endpoint while the server runs: see [`Container::deploy`].
    ///
    /// # Errors
    /// All problems; then nothing has changed.
    pub fn deploy(&self, config: ServerEndpointConfig) -> Result<(), DeployError> {
        self.container().deploy(config)
    }

    /// Takes an endpoint away while the server runs: see [`Container::undeploy`].
    pub fn undeploy(&self, path: &str) -> Option<usize> {
        self.container().undeploy(path)
    }
}

impl Session {
    /// The container that it belongs to (Jakarta SES-02). That of a client's session has no server: nothing can be deployed to it.
    pub fn container(&self) -> Container {
        let container = self.application().find::<Container>();
        container.map_or_else(|| Container::new(self.sessions().clone()), Arc::unwrap_or_clone)
    }
}

impl Injected for Container {
    fn inject(context: &ApplicationContext) -> Result<Self> {
        context.get::<Container>().map(Arc::unwrap_or_clone)
    }
}

impl FromContext for Container {
    fn from_context(context: Context<'_>) -> Result<Self> {
        Ok(context.session().container())
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Container").field(&self.endpoints()).finish()
    }
}
