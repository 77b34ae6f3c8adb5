//! What every engine promises, whichever it is: [`run`] takes two engines of one cluster for each promise and looks whether they keep it.
//!
//! ```ignore
//! suite::run(|| async { (connect().await, connect().await) }).await;
//! ```
//!
//! The engines are connected and not started. Those of one promise and of the next may be of one cluster: what one promise leaves behind
//! another does not look at. Promises that need a capability which the engine says it has not got are left out; but then it must say so
//! when it is asked for it, too.

mod history;
mod messages;
mod presence;
mod store;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use endpoint_runtime::cluster::{Arrival, Capabilities, Channel, Engine, EngineError, Receiver};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc;

/// How long anything is waited for before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long what is to expire is kept: short, but no engine counts in less.
const SHORT: Duration = Duration::from_secs(2);

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

/// Looks whether engines keep every promise, and fails with the names of those that they break.
pub(crate) async fn run<E: Engine, F: Future<Output = (E, E)>>(pair: impl Fn() -> F) {
    let broken = broken(pair).await;
    assert!(broken.is_empty(), "{} promises are broken: {broken:#?}", broken.len());
}

/// The promises that engines break.
pub(crate) async fn broken<E: Engine, F: Future<Output = (E, E)>>(pair: impl Fn() -> F) -> Vec<&'static str> {
    let mut broken = Vec::new();
    for Promise { name, needs, keep } in promises() {
        let (one, other) = pair().await;
        let engine = one.name();
        if !needs.are_in(one.capabilities()) {
            println!("{engine}: {name}: left out, it says that it has no {needs:?}");
            continue;
        }
        println!("{engine}: {name}");
        let pair = Pair { name, one: Node::start(one).await, other: Node::start(other).await };
        if AssertUnwindSafe(keep(pair)).catch_unwind().await.is_err() {
            broken.push(name);
        }
    }
    broken
}

/// Something that an engine promises.
struct Promise<E> {
    name: &'static str,
    needs: Needs,
    keep: fn(Pair<E>) -> LocalBoxFuture<'static, ()>,
}

/// What an engine must be able to do before it can break a promise.
#[derive(Debug, Clone, Copy)]
enum Needs {
    Nothing,
    History,
    Store,
    Presence,
}

impl Needs {
    fn are_in(self, capabilities: Capabilities) -> bool {
        match self {
            Needs::Nothing => true,
            Needs::History => capabilities.history,
            Needs::Store => capabilities.store,
            Needs::Presence => capabilities.presence,
        }
    }
}

macro_rules! promises {
    ($($needs:ident: $($module:ident::$name:ident),+;)+) => {
        vec![$($(Promise {
            name: stringify!($name),
            needs: Needs::$needs,
            keep: |pair| Box::pin($module::$name(pair)),
        }),+),+]
    };
}

fn promises<E: Engine>() -> Vec<Promise<E>> {
    promises! {
        Nothing:
            messages::a_subscription_holds_when_it_is_done,
            messages::a_message_arrives_as_it_was_published,
            messages::who_publishes_and_subscribes_gets_its_own_messages,
            messages::who_subscribes_twice_gets_a_message_once,
            messages::messages_of_a_channel_arrive_in_their_order_and_once,
            messages::receivers_are_counted_or_not_known,
            messages::channels_of_one_name_are_different_channels,
            messages::no_name_is_another_ones,
            messages::many_channels_are_subscribed_to_at_once,
            messages::who_unsubscribes_gets_no_more,
            messages::a_message_that_is_too_large_harms_nobody,
            messages::many_publish_at_the_same_time,
            messages::what_it_cannot_do_it_says,
            messages::who_has_stopped_gets_nothing,
            messages::nothing_is_lost_while_nothing_goes_wrong;
        History:
            history::offsets_begin_at_one_and_have_no_gaps,
            history::what_is_appended_arrives_with_its_place,
            history::what_is_published_has_no_place,
            history::the_same_message_is_appended_once,
            history::the_same_message_at_the_same_time_is_appended_once,
            history::all_see_one_order,
            history::the_newest_are_kept,
            history::what_is_kept_is_kept_for_a_while,
            history::a_page_is_what_is_behind_an_offset,
            history::the_place_before_the_first_message_is_of_its_epoch,
            history::every_name_has_its_own_history,
            history::what_is_too_large_is_not_appended;
        Store:
            store::a_value_is_taken_once,
            store::a_value_is_put_anew_or_again,
            store::one_of_many_takes_a_value,
            store::one_of_many_puts_a_new_value,
            store::a_value_is_kept_for_a_while,
            store::every_key_has_its_own_value;
        Presence:
            presence::who_has_entered_is_present_until_it_exits,
            presence::who_enters_again_is_present_once,
            presence::pages_are_sorted_and_whole,
            presence::who_is_not_noted_again_leaves,
            presence::every_name_has_its_own_members;
    }
}

/// Two nodes of one cluster, for one promise.
pub(crate) struct Pair<E> {
    name: &'static str,
    one: Node<E>,
    other: Node<E>,
}

impl<E: Engine> Pair<E> {
    /// A room of this promise.
    fn room(&self, name: &str) -> Channel {
        Channel::room(&format!("{}/{name}", self.name))
    }

    /// A key of this promise.
    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    async fn stop(self) {
        self.one.engine.stop().await.unwrap();
        self.other.engine.stop().await.unwrap();
    }
}

/// An engine that has been started, and what it hands over.
pub(crate) struct Node<E> {
    pub(crate) engine: Arc<E>,
    inbox: mpsc::UnboundedReceiver<Heard>,
}

/// What an engine has told its receiver.
#[derive(Debug)]
#[allow(dead_code)] // What is said with it is shown when nobody has expected it.
pub(crate) enum Heard {
    Arrival(Arrival),
    Lost(String),
    Back,
    Missed(Vec<Channel>),
}

struct Recorder(mpsc::UnboundedSender<Heard>);

impl Recorder {
    fn note(&self, heard: Heard) {
        // The test may have heard enough.
        let _ = self.0.send(heard);
    }
}

impl Receiver for Recorder {
    fn receive(&self, arrival: Arrival) {
        self.note(Heard::Arrival(arrival));
    }

    fn lost(&self, why: &EngineError) {
        self.note(Heard::Lost(why.to_string()));
    }

    fn back(&self) {
        self.note(Heard::Back);
    }

    fn missed(&self, channels: &[Channel]) {
        self.note(Heard::Missed(channels.to_vec()));
    }
}

impl<E: Engine> Node<E> {
    pub(crate) async fn start(engine: E) -> Self {
        let (sender, inbox) = mpsc::unbounded_channel();
        soon("the start", engine.start(Arc::new(Recorder(sender)))).await.unwrap();
        Node { engine: Arc::new(engine), inbox }
    }

    pub(crate) async fn subscribe(&self, channels: &[Channel]) {
        soon("the subscription", self.engine.subscribe(channels)).await.unwrap();
    }

    pub(crate) async fn publish(&self, channel: &Channel, message: impl Into<Bytes>) -> Option<u64> {
        soon("the publication", self.engine.publish(channel, message.into())).await.unwrap().receivers
    }

    /// What it is told next, whatever it is.
    pub(crate) async fn heard(&mut self) -> Heard {
        soon("something to be heard", self.inbox.recv()).await.unwrap()
    }

    /// The next message; nothing may go wrong before it.
    pub(crate) async fn arrival(&mut self) -> Arrival {
        match self.heard().await {
            Heard::Arrival(arrival) => arrival,
            other => panic!("{other:?} before the next message"),
        }
    }

    /// What has been heard and not been looked at.
    pub(crate) fn heard_already(&mut self) -> Option<Heard> {
        self.inbox.try_recv().ok()
    }
}

/// What the future gives, or a failure that says what was waited for.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Looks again and again, until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// Names that mean something to some engine, some protocol or some careless program, and how different they are.
fn odd_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        " ",
        "a",
        "A",
        "a ",
        " a",
        "a b",
        "a.b",
        "a.*",
        "a.>",
        "*",
        ">",
        "a.b.c",
        "?",
        "[ab]",
        "{a}",
        "{b}",
        "a:b",
        "a/b",
        "a\\b",
        "a\r\nb",
        "a\nb",
        "a\r\nPUB x 1\r\n",
        "\0",
        "a\0b",
        "a\0",
        "%00",
        "%",
        "a%2Eb",
        "room:a",
        "user:a",
        "$SYS.>",
        "_INBOX.>",
        "__keyspace@0__:*",
        "é",
        "e\u{301}",
        "ß",
        "SS",
        "\u{1f980}",
        "\u{202e}a",
        "\u{feff}a",
        "ａ",
        "-",
        "+OK",
        "\"",
        "'",
        "#",
        "~",
        "a,b",
        "=",
        "a=",
        "YQ",
        "YQ==",
        "61",
    ]
    .map(String::from)
    .into();
    // Longer than anybody's limit, and different only at their ends.
    names.extend(["x", "y"].map(|end| "n".repeat(10 * 1024) + end));
    names.extend(["x", "y"].map(|end| "\u{1f980}".repeat(2500) + end));
    names
}
