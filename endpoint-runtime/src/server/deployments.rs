//! [`Deployments`]: what stands where, while it may change.

mod mount;
mod planned;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub(crate) use self::mount::{announce, mount, mount_beside};
pub(crate) use self::planned::{Planned, conflict, planned};
use super::endpoint::{Launcher, ServerEndpointConfig};
#[cfg(feature = "json")]
use crate::cluster::resume::Resumption;
use crate::error::DeployError;
use crate::handshake::Terms;
use crate::path::{BadEncoding, Match, PathParams, Router, Template};
#[cfg(feature = "json")]
use crate::session::Handshake;
use crate::session::Home;

/// One endpoint, ready for connections.
pub(crate) struct Deployed {
    pub(crate) config: ServerEndpointConfig,
    pub(crate) home: Arc<Home>,
    pub(crate) terms: Terms,
    pub(crate) launcher: Arc<dyn Launcher>,
    /// What resumes its sessions, if they can be.
    #[cfg(feature = "json")]
    pub(crate) resumption: Option<Arc<Resumption>>,
}

#[cfg(feature = "json")]
impl Deployed {
    /// What resumes the session of this handshake, if its client asks for that.
    pub(super) fn resumption_of(&self, handshake: &Handshake) -> Option<Arc<Resumption>> {
        self.resumption.as_ref().filter(|_| handshake.query_param("resume").is_some()).cloned()
    }
}

impl fmt::Debug for Deployed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deployed").field(&self.config).finish()
    }
}

/// The endpoints of a server.
///
/// Requests are matched against a router that never changes; whoever deploys puts a new one in its place. No code of the application runs under
/// the lock, which is held for as long as it takes to follow a pointer, or to build the new router.
pub(crate) struct Deployments {
    mounted: RwLock<Arc<Mounted>>,
    /// Endpoints without a path of their own, to which requests are upgraded.
    unmounted: Mutex<Vec<Arc<Unmounted>>>,
}

pub(crate) type Mounted = Router<Arc<Deployed>>;

/// An endpoint to which requests are upgraded: made when the first one is.
struct Unmounted {
    config: ServerEndpointConfig,
    deployed: Mutex<Option<Arc<Deployed>>>,
}

impl Unmounted {
    /// Whether nobody can ask for it again.
    fn is_forgotten(&self) -> bool {
        // One that is just being made is not waited for.
        self.deployed.try_lock().is_ok_and(|deployed| {
            let ours = 1 + usize::from(deployed.is_some());
            !self.config.is_held_elsewhere(ours)
        })
    }
}

impl Deployments {
    pub(crate) fn new(router: Mounted) -> Self {
        Deployments { mounted: RwLock::new(Arc::new(router)), unmounted: Mutex::default() }
    }

    /// What is mounted at this moment.
    pub(crate) fn mounted(&self) -> Arc<Mounted> {
        Arc::clone(&self.mounted.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The endpoint that a path means, and what its variables are, as if there were only those that are admitted.
    pub(crate) fn find(
        &self,
        path: &str,
        admit: impl Fn(&ServerEndpointConfig) -> bool,
    ) -> Option<(Arc<Deployed>, Result<PathParams, BadEncoding>)> {
        let mounted = self.mounted();
        let Match { value, params } = mounted.find_among(path, |deployed| admit(&deployed.config))?;
        Some((Arc::clone(value), params))
    }

    /// Mounts an endpoint, unless the same one is mounted already or another at the same path.
    ///
    /// # Errors
    /// The other one.
    pub(crate) fn mount(&self, template: Template, deployed: Arc<Deployed>) -> Result<bool, Arc<Deployed>> {
        let mut mounted = self.mounted.write().unwrap_or_else(PoisonError::into_inner);
        if mounted.iter().any(|(_, other)| other.config.is_same(&deployed.config)) {
            return Ok(false);
        }
        let mut router = copy(&mounted, |_| true);
        if let Err(conflict) = router.insert(template, Arc::clone(&deployed)) {
            return Err(Arc::clone(conflict.value));
        }
        *mounted = Arc::new(router);
        Ok(true)
    }

    /// Takes away what was mounted at this template.
    pub(crate) fn unmount(&self, path: &str) -> Option<Arc<Deployed>> {
        let mut mounted = self.mounted.write().unwrap_or_else(PoisonError::into_inner);
        let (_, gone) = mounted.iter().find(|(template, _)| template.as_str() == path)?;
        let gone = Arc::clone(gone);
        let router = copy(&mounted, |other| !Arc::ptr_eq(other, &gone));
        *mounted = Arc::new(router);
        Some(gone)
    }

    /// The endpoint of this configuration: the mounted one, or one without a path, which is made once and kept for as long as the
    /// configuration exists.
    pub(crate) fn of(
        &self,
        config: &ServerEndpointConfig,
        make: impl FnOnce() -> Result<Arc<Deployed>, DeployError>,
    ) -> Result<Arc<Deployed>, DeployError> {
        let mounted = self.mounted();
        if let Some((_, deployed)) = mounted.iter().find(|(_, other)| other.config.is_same(config)) {
            return Ok(Arc::clone(deployed));
        }
        let unmounted = self.unmounted(config);
        // Two requests at a time must not make two instances of a singleton. Only they wait for each other.
        let mut place = unmounted.deployed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*place {
            Some(deployed) => Ok(Arc::clone(deployed)),
            None => Ok(Arc::clone(place.insert(make()?))),
        }
    }

    fn unmounted(&self, config: &ServerEndpointConfig) -> Arc<Unmounted> {
        let mut forgotten = Vec::new();
        let mut all = self.unmounted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = all.iter().find(|unmounted| unmounted.config.is_same(config)) {
            return Arc::clone(same);
        }
        // Whoever makes a configuration for each request leaves them behind: nobody can ask for them again.
        forgotten.extend(all.extract_if(.., |unmounted| unmounted.is_forgotten()));
        let new = Arc::new(Unmounted { config: config.clone(), deployed: Mutex::default() });
        all.push(Arc::clone(&new));
        drop(all);
        drop(forgotten);
        new
    }
}

/// A router of its own, with those that are kept.
fn copy(mounted: &Mounted, keep: impl Fn(&Arc<Deployed>) -> bool) -> Mounted {
    let mut router = Router::new();
    for (template, deployed) in mounted.iter().filter(|(_, deployed)| keep(deployed)) {
        // They stood beside each other before.
        let _ = router.insert(template.clone(), Arc::clone(deployed));
    }
    router
}

#[cfg(test)]
mod tests {
    use std::convert::identity;

    use super::*;
    use crate::context::ApplicationContext;
    use crate::endpoint::Endpoint;
    use crate::session::Sessions;
    use crate::settings::Settings;

    struct Quiet;
    impl Endpoint for Quiet {}

    fn config(path: &str) -> ServerEndpointConfig {
        ServerEndpointConfig::builder(path, || Quiet).build()
    }

    fn made(config: &ServerEndpointConfig) -> (Template, Arc<Deployed>) {
        let context = ApplicationContext::default();
        let (settings, sessions) = (Settings::default(), Sessions::new());
        let made = mount_beside(config.clone(), std::iter::empty(), &settings, &sessions, &context);
        let (template, deployed) = made.unwrap();
        (template, Arc::new(deployed))
    }

    #[test]
    fn a_router_that_is_in_use_does_not_change() {
        let deployments = Deployments::new(Router::new());
        let (template, deployed) = made(&config("/a/{x}"));
        let before = deployments.mounted();
        assert!(deployments.mount(template.clone(), Arc::clone(&deployed)).is_ok_and(identity));
        assert!(deployments.mount(template, deployed).is_ok_and(|new| !new), "the same one");
        assert!(before.find("/a/1").is_none() && deployments.find("/a/1", |_| true).is_some());
        let (template, other) = made(&config("/a/{y}"));
        assert_eq!(deployments.mount(template, other).unwrap_err().config.path(), "/a/{x}");
        assert!(deployments.unmount("/a/{y}").is_none());
        assert!(deployments.unmount("/a/{x}").is_some() && deployments.find("/a/1", |_| true).is_none());
    }

    #[test]
    fn an_endpoint_without_a_path_is_kept_while_its_configuration_is() {
        let deployments = Deployments::new(Router::new());
        let kept = config("/kept");
        let of = |config: &ServerEndpointConfig| deployments.of(config, || Ok(made(config).1)).unwrap();
        let first = of(&kept);
        for _ in 0..10 {
            of(&config("/made/for/one/request"));
        }
        // The last one is looked at when the next one comes.
        assert!(deployments.unmounted.lock().unwrap().len() <= 2);
        assert!(Arc::ptr_eq(&first, &of(&kept.clone())));
        assert!(!Arc::ptr_eq(&first, &of(&config("/kept"))), "another one with the same path");
    }
}
