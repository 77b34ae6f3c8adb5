//! What the builder says of a cluster: its engine, its rooms, what goes with a session to another node, and where messages are handed in.

#[cfg(feature = "json")]
use std::borrow::Cow;
use std::sync::Arc;

use super::ServerEndpointExporter;
use crate::cluster::{Engine, Rooms};
use crate::error::Place;
#[cfg(feature = "json")]
use crate::server::Publishing;

/// Several processes, and programs that are none of them.
impl ServerEndpointExporter {
    /// Makes this process a node of a cluster: [`Sessions`](crate::Sessions) are those of all processes that are given an engine of the same
    /// kind with the same server and prefix. Without this they are those of this process, and the same calls work.
    ///
    /// A session never moves; messages do. Two classes of them are told apart, by their room:
    ///
    /// | | volatile | recoverable |
    /// |---|---|---|
    /// | to a node with an interested session | at most once | at least once while the position is inside (size, ttl) |
    /// | to the client | at most once, in channel order | in channel order, effectively once by (epoch, offset); if continuity cannot be proved, exactly one `recovered=false` and no partial replay |
    /// | the engine is down | an error after the deadline (`cluster_deadline`); no unbounded buffer (`cluster_queue`); sessions of the same node still get it | an error; nothing is delivered that has no offset |
    /// | the engine has restarted without its data, or a replica was promoted | nothing to do | the epoch differs: `recovered=false` |
    ///
    /// What was acknowledged and then lost by the engine itself is always visible as a change of the epoch, never silent. Nothing else is
    /// promised: what must not be lost belongs into the application's database.
    ///
    /// The engine is started before the components are built. One that cannot be is a problem of the deployment.
    ///
    /// ```no_run
    /// use endpoint_runtime as runtime;
    /// use endpoint_runtime::cluster::Local;
    ///
    /// # async fn f() -> runtime::Result<()> {
    /// // Two servers of one process, as two nodes.
    /// let engine = Local::new();
    /// let one = runtime::export_all().bind("127.0.0.1:9000").cluster(engine.clone()).start().await?;
    /// let other = runtime::export_all().bind("127.0.0.1:9001").cluster(engine).start().await?;
    /// one.sessions().room("blue").send("to both").await;
    /// # drop(other);
    /// # Ok(()) }
    /// ```
    pub fn cluster(mut self, engine: impl Engine) -> Self {
        self.engine = Some(Arc::new(engine));
        self
    }

    /// Says what holds for rooms: that they are recoverable, that it is known who is present. `pattern` is a name, or the beginning of one and a
    /// `*`; of several that match, the longest holds. Endpoints say the same with `recover(..)` and `presence`; two who say different things of
    /// one pattern are a problem of the deployment.
    ///
    /// Recoverable rooms need an engine that keeps messages. Without any ([`cluster`](Self::cluster)) there is one in this process, so that
    /// the same holds for clients that were away, until the process ends.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use endpoint_runtime::cluster::Rooms;
    ///
    /// let exporter = endpoint_runtime::export_all()
    ///     .rooms("news/*", Rooms::recoverable(100, Duration::from_secs(300)))
    ///     .rooms("lobby", Rooms::plain().presence());
    /// ```
    #[track_caller]
    pub fn rooms(mut self, pattern: impl Into<String>, rooms: Rooms) -> Self {
        self.rooms.push((pattern.into(), rooms, Place::caller()));
        self
    }

    /// Carries attributes of the type `T` from a session to the one that resumes it, on whichever server: they are in its
    /// [`attributes`](crate::Session::attributes) before `#[on_open]` runs. The name is what servers of different versions of the program agree
    /// on; the value crosses as JSON. An attribute that changes is written down within a second; what changes without being
    /// [inserted](crate::Attributes::insert) again, as behind a lock, is written down from time to time and when the session ends.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct Nickname(String);
    ///
    /// let exporter = endpoint_runtime::export_all().carry::<Nickname>("nickname");
    /// ```
    #[cfg(feature = "json")]
    pub fn carry<T>(mut self, name: impl Into<Cow<'static, str>>) -> Self
    where
        T: serde::Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.carried.add::<T>(name);
        self
    }

    /// Takes messages for sessions by `POST` at this path, from whoever is in this role: for programs that speak HTTP and nothing else. With a
    /// [cluster](Self::cluster) they reach the sessions of all nodes.
    ///
    /// Who it is a bearer token says, in `Authorization` and nowhere else; so the application must have [bearer tokens](Self::bearer), or it is not
    /// deployed. The path is an exact one, behind the [prefix](crate::Settings::prefix), on all listeners. A
    /// [fallback](Self::fallback) is not asked about it, and an endpoint of the same path keeps its handshakes.
    ///
    /// ```
    /// use endpoint_runtime::prelude::*;
    /// use endpoint_runtime::{BearerTokens, export_all};
    ///
    /// let tokens = BearerTokens::new(|token: String| async move {
    ///     match token.as_str() {
    ///         "s3cret" => Ok(Principal::new(()).named("billing").role("publisher")),
    ///         _ => Err(Refusal::unauthorized("this token is not valid")),
    ///     }
    /// });
    /// let exporter = export_all().bearer(tokens).publishing("/publish", "publisher");
    /// ```
    ///
    /// ```sh
    /// curl -i http://localhost:8080/publish -H 'Authorization: Bearer s3cret' -H 'Content-Type: application/json' \
    ///     -d '{"room": "blue", "text": "your order is on its way", "id": "67e55044-10b1-426f-9247-bb680e5fe0c8"}'
    /// ```
    ///
    /// The body is a JSON object: one of `"room"`, `"user"`, `"session"` (an id) and `"all": true`; either `"text"`, or `"bytes"` in base64;
    /// and the [`"id"`](crate::Audience::id) of the message, if it may be sent again. The answer is one too:
    ///
    /// * `queued` and `missed`: the sessions of this process whose queue has the message, and those that were closing or too slow;
    /// * `elsewhere`: `"nowhere"` (there is no cluster), `"handed"` (the engine has it), `"failed"`, or `"unknown"`: it was not said in time;
    /// * `receivers`: how many nodes have it, or null where the engine does not know;
    /// * `position`: `["<epoch>", <offset>]` in the history of a recoverable room, otherwise null; `duplicate`: it had that place already;
    /// * `error`: what went wrong, if anything did.
    ///
    /// | status | |
    /// |---|---|
    /// | 202 | it is on its way |
    /// | 400 | the body is no such object |
    /// | 401, 403 | there is no token, or none that is accepted; its owner is not in the role |
    /// | 404 | there is no such session |
    /// | 405, 415 | not `POST`; not `application/json` |
    /// | 408 | the body took longer than [`handshake_timeout`](crate::Settings::handshake_timeout) |
    /// | 411, 413 | a body that does not say how large it is, or is larger than [`max_body_size`](crate::Settings::max_body_size); a message too large for the engine |
    /// | 503 | it has not crossed to other nodes, or nobody knows whether it has. If it has an id and its room is recoverable, it can be sent again |
    #[cfg(feature = "json")]
    #[track_caller]
    pub fn publishing(mut self, path: impl Into<String>, role: impl Into<String>) -> Self {
        self.publishing.push((Place::caller(), Publishing::new(path.into(), role.into())));
        self
    }
}
