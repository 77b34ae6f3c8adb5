//! [`Scene`]: an engine, nodes, and between them cables that can be cut.

use std::time::{Duration, Instant};

use endpoint_tests::cut_proxy::CutProxy;
use endpoint_tests::redis_server::RedisServer;

use crate::lateness::Lateness;
use crate::listener::{Account, Listener, Memory};
use crate::node::Node;
use crate::publisher::{Published, Publisher};

/// Something that was measured, what it should be, and whether it is.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) figure: String,
    pub(crate) goal: String,
    pub(crate) met: bool,
    /// Whether a machine that is not quiet may be why it is missed.
    pub(crate) of_time: bool,
    /// Of a goal that is a time: what it took, and the goal.
    time: Option<(Duration, Duration)>,
}

impl Check {
    pub(crate) fn zero(what: &str, figure: usize) -> Self {
        Check::at_most(what, figure, 0)
    }

    pub(crate) fn at_most(what: &str, figure: usize, goal: usize) -> Self {
        let text = if goal == 0 { "0".to_owned() } else { format!("<= {goal}") };
        Check::of(what, figure.to_string(), text, figure <= goal)
    }

    pub(crate) fn at_least(what: &str, figure: usize, goal: usize) -> Self {
        Check::of(what, figure.to_string(), format!(">= {goal}"), figure >= goal)
    }

    pub(crate) fn exactly(what: &str, figure: usize, goal: usize) -> Self {
        Check::of(what, figure.to_string(), goal.to_string(), figure == goal)
    }

    /// Something that is so, or else what is instead.
    pub(crate) fn holds(what: &str, instead: &str, met: bool) -> Self {
        Check::of(what, if met { "yes".into() } else { instead.into() }, "yes".into(), met)
    }

    pub(crate) fn within(what: &str, figure: Option<Duration>, goal: Duration) -> Self {
        let shown = figure.map_or("never".to_owned(), |figure| format!("{:.3} s", figure.as_secs_f64()));
        let met = figure.is_some_and(|figure| figure <= goal);
        let most = (goal.as_secs_f64() * 1000.0).round() / 1000.0;
        let check = Check::of(what, shown, format!("<= {most} s"), met).of_time();
        Check { time: figure.map(|figure| (figure, goal)), ..check }
    }

    /// The same for a machine that was so late itself.
    pub(crate) fn on(mut self, lateness: Lateness) -> Self {
        let met = |(figure, goal)| figure <= lateness.stretch(goal);
        if !self.met && self.time.is_some_and(met) {
            self.met = true;
            self.goal.push_str(" (late)");
        }
        self
    }

    /// A figure without a goal.
    pub(crate) fn figure(what: &str, figure: impl ToString) -> Self {
        Check::of(what, figure.to_string(), "-".into(), true)
    }

    /// The same, where a machine that is not quiet may be why it is missed.
    pub(crate) fn of_time(self) -> Self {
        Check { of_time: true, ..self }
    }

    fn of(what: &str, figure: String, goal: String, met: bool) -> Self {
        Check { what: what.into(), figure, goal, met, of_time: false, time: None }
    }
}

pub(crate) struct Scene {
    pub(crate) redis: RedisServer,
    /// One for each node.
    pub(crate) cables: Vec<CutProxy>,
    pub(crate) nodes: Vec<Node>,
}

impl Scene {
    /// So many nodes, which know each other.
    pub(crate) async fn of(redis: RedisServer, nodes: usize) -> Self {
        let mut scene = Scene { redis, cables: Vec::new(), nodes: Vec::new() };
        for _ in 0..nodes {
            let cable = CutProxy::to(scene.redis.address()).await;
            scene.nodes.push(Node::start(&format!("redis://{}", cable.address()), &[]).await);
            scene.cables.push(cable);
        }
        for node in &scene.nodes {
            node.knows(nodes).await;
        }
        scene
    }

    /// Two nodes, of which the first publishes and the second has the listeners: to a room of which nothing is kept, and to one that is
    /// recoverable, where one listener knows places and one does not.
    pub(crate) async fn busy(self, per_second: u32) -> Busy {
        let [from, to] = &self.nodes[..] else { panic!("two nodes") };
        let volatile = Listener::plain(to, "/plain/busy").await;
        let simple = Listener::plain(to, "/kept/busy").await;
        let knowing = Listener::wire(to, "/kept/busy", Memory::default()).await;
        let loose = Publisher::start(from, "room:plain/busy", "loose", per_second, false).await;
        let kept = Publisher::start(from, "room:kept/busy", "kept", per_second, true).await;
        for listener in [&volatile, &simple, &knowing] {
            listener.until("first messages", |events| events.len() > 20).await;
        }
        Busy { scene: self, volatile, simple, knowing, loose, kept }
    }
}

/// See [`Scene::busy`].
pub(crate) struct Busy {
    pub(crate) scene: Scene,
    pub(crate) volatile: Listener,
    pub(crate) simple: Listener,
    pub(crate) knowing: Listener,
    loose: Publisher,
    kept: Publisher,
}

/// All that was sent and heard.
pub(crate) struct Done {
    pub(crate) scene: Scene,
    pub(crate) knowing: Listener,
    pub(crate) simple: Listener,
    pub(crate) volatile: Listener,
    pub(crate) loose: Published,
    pub(crate) kept: Published,
}

impl Busy {
    /// When after this the first message of each kind came: of the volatile ones, and of the kept ones.
    pub(crate) async fn first_after(&self, then: Instant) -> (Option<Duration>, Option<Duration>) {
        let first = async |listener: &Listener| {
            for _ in 0..1500 {
                if let Some(at) = listener.first_after(then) {
                    return Some(at - then);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            None
        };
        (first(&self.volatile).await, first(&self.knowing).await)
    }

    /// Goes on for a while, and then ends it.
    pub(crate) async fn end(self, after: Duration) -> Done {
        tokio::time::sleep(after).await;
        let (loose, kept) = tokio::join!(self.loose.stop(), self.kept.stop());
        for listener in [&self.volatile, &self.simple, &self.knowing] {
            listener.settled(Duration::from_secs(2)).await;
        }
        Done {
            scene: self.scene,
            knowing: self.knowing,
            simple: self.simple,
            volatile: self.volatile,
            loose,
            kept,
        }
    }
}

impl Done {
    /// What holds after any fault. Where the engine keeps all that it has acknowledged, nothing is lost, told or not.
    pub(crate) fn checks(&self, nothing_lost: bool) -> Vec<Check> {
        let knowing = Account::of(&self.knowing.events());
        let simple = Account::of(&self.simple.events());
        let volatile = Account::of(&self.volatile.events());
        let (kept, loose) = (&self.kept, &self.loose);
        let lost = kept.lost(&knowing.received).max(kept.lost(&simple.received));
        let lost_loose = loose.lost(&volatile.received);
        let panics: usize = self.scene.nodes.iter().map(Node::panics).sum();
        vec![
            Check::figure("kept: acknowledged", kept.acked.len()),
            Check::figure("kept: times told that something is missing", knowing.told),
            match nothing_lost {
                true => Check::zero("kept: lost of acknowledged", lost),
                false => Check::figure("kept: lost of acknowledged", lost),
            },
            Check::zero("kept: lost of acknowledged, untold", knowing.lost_untold(kept)),
            Check::zero("kept: lost though the engine has it", knowing.lost_of_the_last_epoch(kept)),
            Check::zero("kept: duplicates", knowing.duplicates + simple.duplicates),
            Check::zero("kept: out of order", knowing.disorder),
            Check::zero("kept: silent gaps", knowing.silent_gaps),
            Check::zero("kept: without a place", knowing.placeless),
            Check::zero("volatile: duplicates", volatile.duplicates),
            Check::zero("volatile: out of order", volatile.disorder),
            Check::figure("volatile: lost of acknowledged", format!("{lost_loose} of {}", loose.acked.len())),
            Check::zero("panics", panics),
            Check::figure("failed: kept", kept.failed()),
            Check::figure("failed: volatile", loose.failed()),
        ]
    }
}
