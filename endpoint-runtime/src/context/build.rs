//! Building: the places of a context are filled, each once, and in the end what was built is destroyed.
//!
//! All code of the components runs here, and whatever it does, fail, panic or hang, concerns the one who asked for it.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::runtime;
use tokio::time::timeout;

use super::component::{ComponentConfig, Shared};
use super::index::Choice;
use super::order::Walk;
use super::{ApplicationContext, Handle, Inner, Key, Need, ended, order};
use crate::error::{Error, Panicked, Problem, Result};

/// What is built, and what is being.
#[derive(Default)]
pub(super) struct Progress {
    /// What is built and is to be destroyed, in its order.
    built: Vec<(usize, Shared)>,
    /// Which component waits for which other while it is built.
    waits: Vec<(usize, usize)>,
    /// Nothing more is built.
    ended: bool,
}

thread_local! {
    /// Which component of which server is built on this thread just now.
    static BUILDING: Cell<Option<(u64, usize)>> = const { Cell::new(None) };
}

impl ApplicationContext {
    /// Builds all components that are not lazy and what the endpoints need, each after what it needs itself; then hands them the context,
    /// and then tells them so.
    ///
    /// # Errors
    /// The first that went wrong. What was built stays, to be destroyed.
    pub(crate) async fn build(&self, of_endpoints: &[Need]) -> Result<(), Problem> {
        match self.inner() {
            Some(inner) => inner.build_all(of_endpoints).await,
            None => Ok(()),
        }
    }

    /// Runs code of the application's that belongs to no component.
    pub(crate) async fn run<F: Future>(&self, make: impl FnOnce() -> F) -> Result<F::Output, Panicked> {
        let node = self.inner().map_or(0, |inner| inner.node);
        InTheNameOf { node, component: None }.run(make).await
    }

    /// A component that is built if it is not yet.
    pub(super) async fn obtain<T>(&self, key: Key, name: Option<&str>) -> Result<Arc<T>>
    where
        T: ?Sized + Send + Sync + 'static,
    {
        let inner = self.inner().ok_or_else(ended)?;
        match inner.choose(key, name) {
            Choice::One(candidate) => {
                inner.obtain(candidate.component).await.map_err(|problem| Error::msg(problem.to_string()))?;
                inner.see(candidate).ok_or_else(|| self.why_not(key, name))
            }
            Choice::None if inner.parent.is_some() => {
                // Boxed, as a future within itself.
                let parent = inner.parent.clone().unwrap_or_default();
                Box::pin(async move { parent.obtain(key, name).await }).await
            }
            Choice::None | Choice::Several => Err(self.why_not(key, name)),
        }
    }

    /// How many steps the end has, each of which may take the time of one.
    #[cfg(unix)]
    pub(crate) fn to_destroy(&self) -> u32 {
        let Some(inner) = self.inner() else { return 0 };
        let count = inner.configs.iter().filter(|config| config.lifecycle.is_some()).count();
        let builds = inner.configs.iter().any(|config| config.is_lazy);
        u32::try_from(count + usize::from(builds)).unwrap_or(u32::MAX)
    }

    /// Destroys what was built, the last first.
    pub(crate) async fn destroy(&self) {
        if let Some(inner) = self.inner() {
            inner.destroy_all().await;
        }
    }
}

impl Inner {
    async fn build_all(&self, of_endpoints: &[Need]) -> Result<(), Problem> {
        let mut walk = self.walk();
        let eager = self.configs.iter().enumerate().filter(|(_, config)| !config.is_lazy);
        eager.for_each(|(at, _)| walk.visit(at));
        let needed = of_endpoints.iter().flat_map(|need| order::meant(need, &self.configs, &self.index));
        needed.for_each(|at| walk.visit(at));
        for at in walk.order {
            self.build(at, false).await?;
        }
        let built = self.progress().built.clone();
        let unsettled = |one: &&(usize, Shared)| !self.places[one.0].is_settled.load(Ordering::Acquire);
        for (at, shared) in built.iter().filter(unsettled) {
            self.introduce(*at, shared)?;
        }
        for (at, shared) in built.iter().filter(unsettled) {
            self.settle(*at, shared).await?;
        }
        Ok(())
    }

    /// Builds one and all that it needs, if they are not yet, and tells them at once.
    async fn obtain(&self, at: usize) -> Result<(), Problem> {
        let (false, Some(inner)) = (self.built(at).is_some(), self.me.upgrade()) else { return Ok(()) };
        let asking = BUILDING.get().filter(|(node, _)| *node == self.node).map(|(_, asking)| asking);
        // A task of its own: that who asks goes, as a handler does when its session ends, leaves nothing half built to others.
        let building = self.builders.spawn(async move { inner.build_whole(asking, at).await });
        let lost = |_| failed(&self.configs[at], "could not be built: the runtime has ended");
        building.await.map_err(lost)?
    }

    /// Builds one and all that it needs, in the name of the component that asks for it.
    async fn build_whole(&self, asking: Option<usize>, at: usize) -> Result<(), Problem> {
        let mut walk = self.walk();
        walk.visit(at);
        for at in walk.order {
            let _waiting = asking.map(|asking| self.wait(asking, at)).transpose()?;
            self.build(at, true).await?;
        }
        Ok(())
    }

    pub(super) fn walk(&self) -> Walk<'_> {
        Walk::new(&self.places)
    }

    /// Builds one whose dependencies are built; `whole` if it is to be told at once. Whoever comes while it is built waits for it.
    async fn build(&self, at: usize, whole: bool) -> Result<(), Problem> {
        let build = || async {
            let config = &self.configs[at];
            if self.progress().ended {
                return Err(failed(config, "could not be built: the application has ended"));
            }
            let context = ApplicationContext(Handle::Within(self.me.clone()));
            let made = self.name_of(at).run(|| config.make(context)).await;
            let shared = said(config, "could not be built", made)?;
            let seen = catch_unwind(AssertUnwindSafe(|| config.seen(Arc::clone(&shared))))
                .map_err(|payload| Panicked::from_payload(&*payload));
            let seen = said(config, "could not be built", seen.map(Ok))?;
            let settled = if whole { self.settle_at_once(at, &shared).await } else { Ok(()) };
            let outcome = settled.and_then(|()| match self.enlist(at, &shared) {
                true => Ok(()),
                false => Err(failed(config, "was built too late: the application has ended")),
            });
            if let Err(problem) = outcome {
                // Nobody else knows of it, and the next one that is built is to be told as if it were the first.
                self.places[at].is_settled.store(false, Ordering::Release);
                self.destroy(at, &shared).await;
                return Err(problem);
            }
            Ok(seen)
        };
        self.places[at].built.get_or_try_init(build).await.map(|_| ())
    }

    /// Enters a component among those that are to be destroyed, if that has not happened already.
    fn enlist(&self, at: usize, shared: &Shared) -> bool {
        let mut progress = self.progress();
        if !progress.ended {
            progress.built.push((at, Arc::clone(shared)));
        }
        !progress.ended
    }

    /// What the phases of the start do for all, for one.
    async fn settle_at_once(&self, at: usize, shared: &Shared) -> Result<(), Problem> {
        self.introduce(at, shared)?;
        self.settle(at, shared).await
    }

    /// Hands a component the context.
    fn introduce(&self, at: usize, shared: &Shared) -> Result<(), Problem> {
        let config = &self.configs[at];
        let Some(aware) = config.aware else { return Ok(()) };
        let context = ApplicationContext(Handle::Within(self.me.clone()));
        let told =
            catch_unwind(AssertUnwindSafe(|| self.name_of(at).enter(|| (aware.set)(shared, &context))));
        let told = told.map_err(|payload| Panicked::from_payload(&*payload));
        said(config, "failed in `set_application_context`", told.map(Ok))
    }

    /// Tells a component that the application stands.
    async fn settle(&self, at: usize, shared: &Shared) -> Result<(), Problem> {
        let config = &self.configs[at];
        self.places[at].is_settled.store(true, Ordering::Release);
        let Some(lifecycle) = config.lifecycle else { return Ok(()) };
        let Some(telling) = (lifecycle.after_properties_set)(shared) else { return Ok(()) };
        let told = self.name_of(at).run(|| telling).await;
        said(config, "failed in `after_properties_set`", told)
    }

    /// Destroys everything that is built, in reverse. Whatever one of them does, the others have their turn.
    async fn destroy_all(&self) {
        self.progress().ended = true;
        self.finish_building().await;
        // One by one: if this is cancelled, somebody else goes on where it was.
        while let Some((at, shared)) = self.last_built() {
            self.destroy(at, &shared).await;
        }
    }

    /// Waits for what is being built just now: that it comes too late it notices itself, and what it needs is there until then.
    async fn finish_building(&self) {
        self.builders.close();
        let limit = self.destroy_timeout;
        if timeout(limit, self.builders.wait()).await.is_err() {
            tracing::error!(?limit, "a lazy component is still being built: it is not waited for any longer");
        }
    }

    fn last_built(&self) -> Option<(usize, Shared)> {
        self.progress().built.pop()
    }

    async fn destroy(&self, at: usize, shared: &Shared) {
        let config = &self.configs[at];
        let Some(destroying) = config.lifecycle.and_then(|lifecycle| (lifecycle.destroy)(shared)) else {
            return;
        };
        let limit = self.destroy_timeout;
        match timeout(limit, self.name_of(at).run(|| destroying)).await {
            Ok(Ok(())) => tracing::debug!(component = %config, "destroyed"),
            Ok(Err(panicked)) => {
                tracing::error!(component = %config, panic = panicked.message(), "`destroy` panicked");
            }
            Err(_) => {
                tracing::error!(component = %config, ?limit, "`destroy` took too long, and was cancelled");
            }
        }
    }

    fn name_of(&self, at: usize) -> InTheNameOf {
        InTheNameOf { node: self.node, component: Some(at) }
    }

    /// Notes that one component waits for another, for as long as the guard lives. Two that wait for each other would do so for ever.
    fn wait(&self, asking: usize, wanted: usize) -> Result<Waiting<'_>, Problem> {
        let mut progress = self.progress();
        if let Some(path) = progress.path(wanted, asking) {
            drop(progress);
            return Err(self.waiting_circle(asking, &path));
        }
        progress.waits.push((asking, wanted));
        Ok(Waiting { inner: self, wait: (asking, wanted) })
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose code runs: a server's, and perhaps one of its components'.
#[derive(Clone, Copy)]
struct InTheNameOf {
    node: u64,
    component: Option<usize>,
}

impl InTheNameOf {
    async fn run<F: Future>(self, make: impl FnOnce() -> F) -> Result<F::Output, Panicked> {
        let made = catch_unwind(AssertUnwindSafe(|| self.enter(make)));
        let mut future = pin!(made.map_err(|payload| Panicked::from_payload(&*payload))?);
        poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| self.enter(|| future.as_mut().poll(cx)))) {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(Panicked::from_payload(&*payload))),
        })
        .await
    }

    fn enter<R>(self, act: impl FnOnce() -> R) -> R {
        struct Leave(Option<(u64, usize)>);
        impl Drop for Leave {
            fn drop(&mut self) {
                BUILDING.set(self.0);
            }
        }
        let _leave = Leave(BUILDING.replace(self.component.map(|component| (self.node, component))));
        crate::session::enter(self.node, act)
    }
}

impl Progress {
    /// By which components one waits for another, both included.
    fn path(&self, from: usize, to: usize) -> Option<Vec<usize>> {
        let mut paths = vec![vec![from]];
        let mut seen = vec![from];
        while let Some(path) = paths.pop() {
            let last = *path.last()?;
            if last == to {
                return Some(path);
            }
            for &(_, next) in self.waits.iter().filter(|(asking, _)| *asking == last) {
                if !seen.contains(&next) {
                    seen.push(next);
                    paths.push(path.iter().copied().chain([next]).collect());
                }
            }
        }
        None
    }
}

struct Waiting<'a> {
    inner: &'a Inner,
    wait: (usize, usize),
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut progress = self.inner.progress();
        if let Some(at) = progress.waits.iter().position(|wait| *wait == self.wait) {
            progress.waits.swap_remove(at);
        }
    }
}

/// What a component's code came to, and if that is nothing good, about whom and where.
fn said<T>(config: &ComponentConfig, what: &str, outcome: Result<Result<T>, Panicked>) -> Result<T, Problem> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(config, &format!("{what}: {error}"))),
        Err(panicked) => Err(failed(config, &format!("{what}: it panicked: {}", panicked.message()))),
    }
}

fn failed(config: &ComponentConfig, what: &str) -> Problem {
    Problem::new(format!("the component {config} {what}")).at(config.place())
}

/// Destroys what a start has built, unless it comes to its end: at once where somebody waits for it, and in the background where the start
/// itself was cancelled.
#[derive(Debug)]
pub(crate) struct Undo {
    context: Option<ApplicationContext>,
}

impl Undo {
    pub(crate) fn new(context: &ApplicationContext) -> Self {
        Undo { context: Some(context.clone()) }
    }

    /// The start has come to its end.
    pub(crate) fn not_needed(mut self) {
        self.context = None;
    }

    pub(crate) async fn now(mut self) {
        if let Some(context) = &self.context {
            context.destroy().await;
        }
        self.context = None;
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let Some(context) = self.context.take() else { return };
        // Without a runtime nothing is left that could be told to.
        if let Ok(runtime) = runtime::Handle::try_current() {
            runtime.spawn(async move { context.destroy().await });
        }
    }
}
