//! Settings: what an operator may change without touching code.
//!
//! Later wins: the defaults, `endpoint.toml`, `ENDPOINT_*` variables, and then the exporter's builder. In the
//! file a key is the name of a field of [`Settings`]; as a variable it is that name in capitals after
//! `ENDPOINT_`:
//!
//! ```toml
//! bind = ["0.0.0.0:9000", "unix:/run/app.sock"]
//! max_message_size = "1MiB"           # ENDPOINT_MAX_MESSAGE_SIZE=1MiB
//! ping_interval = "25s"               # ENDPOINT_PING_INTERVAL=25s
//! idle_timeout = "off"                # ENDPOINT_IDLE_TIMEOUT=off
//! origins = ["https://example.com"]   # ENDPOINT_ORIGINS=https://example.com,https://example.org
//! ```
//!
//! What stands in a table of the file, `[chat]`, or in a variable with two underscores, `ENDPOINT_CHAT__MAX_LEN`, is the
//! application's own: see [`Values`].
//!
//! Durations are written `"250ms"`, `"30s"`, `"5m"`, `"1h"` or, where that makes sense, `"off"`; sizes in
//! bytes or as `"64KiB"`, `"1MiB"`, `"1GiB"`; lists as arrays, or in one string with commas. Whatever is not
//! understood is an error, and all errors come at once.

mod address;
mod client_certificates;
mod compression;
mod error;
mod keys;
mod limits;
mod options;
mod overflow;
mod proxies;
mod rate;
mod sources;
mod value;
mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use address::Address;
pub use client_certificates::ClientCertificates;
pub use compression::Compression;
pub use error::SettingsError;
pub(crate) use limits::address_fault;
pub(crate) use options::{Options, Recover};
pub use overflow::Overflow;
pub(crate) use proxies::Proxies;
pub use rate::{OverRate, Rate};
pub use values::{SetValue, ValueError, Values};

use sources::Sources;

/// Everything that can be set for a server. [`Settings::default`] has the defaults, [`Settings::load`] what
/// the operator made of them.
///
/// What stands here holds for all endpoints; an endpoint's own arguments, such as `max_message_size`, win for
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Where to listen: `host:port`, where port 0 means any free port, `unix:/path`, or `systemd:name` for the
    /// sockets of this name that the service manager passes, all of them without a name. Default:
    /// `127.0.0.1:8080`.
    ///
    /// The default is reachable from this machine only; `0.0.0.0:8080` and `[::]:8080` are reachable from
    /// everywhere.
    pub bind: Vec<String>,

    /// Whether other processes may listen at the same TCP addresses (`SO_REUSEPORT`). Default: `false`.
    ///
    /// So a new process of a program starts to serve before the old one stops, and no address is ever without
    /// a listener. Every process of the same user may then take part of the connections, one that was
    /// forgotten too; and two servers at one address by mistake are no error any more.
    pub reuse_port: bool,

    /// What all paths begin with: `/ws` serves the endpoint `/chat` at `/ws/chat`. Default: empty.
    pub prefix: String,

    /// The largest message admitted, in bytes, whole and after decompression. Default: 65,536.
    ///
    /// A larger one closes its session with 1009. Every connection may hold one message of this size while it
    /// arrives, so that a high limit is memory given to strangers; large data may come in fragments or as a
    /// stream instead.
    pub max_message_size: usize,

    /// How long a session may exchange no message before it is closed; pings and pongs count. Default:
    /// `None`, off.
    ///
    /// Dead peers are found by `ping_interval` without it, and answered pings keep a session from being idle.
    /// So this is for peers that are to be closed when they are alive but silent, together with
    /// `ping_interval` off or longer.
    pub idle_timeout: Option<Duration>,

    /// After how much silence a peer is pinged; `None` is never. Default: 25 s.
    ///
    /// Shorter finds dead peers sooner, and costs a frame each way and, on mobile devices, battery. Proxies
    /// commonly drop connections that are silent for 60 s.
    pub ping_interval: Option<Duration>,

    /// How long after a ping a peer that stays silent counts as dead, and is closed with 1006. Default: 20 s.
    ///
    /// Shorter closes those who only have bad reception.
    pub pong_timeout: Duration,

    /// How many bytes may wait to be sent to one slow peer. Default: 1,048,576 (1 MiB).
    ///
    /// Beyond it `overflow` decides. A larger buffer rides out longer stalls; in the worst case all
    /// connections fill theirs.
    pub send_buffer: usize,

    /// How long a sender waits for room in a full buffer where `overflow` is `wait`. Default: 20 s.
    ///
    /// After it the send fails. Longer bears longer stalls of a peer, and keeps the handlers that send to it
    /// waiting.
    pub send_timeout: Duration,

    /// What becomes of a message for which `send_buffer` has no room. Default: [`Overflow::Disconnect`].
    pub overflow: Overflow,

    /// Whether messages are compressed on connections whose peer can do it too (permessage-deflate). Default:
    /// [`Compression::On`].
    ///
    /// [`Compression::Context`] sends less where messages are small and alike, and costs each connection a
    /// few hundred kilobytes. Without the feature `deflate` nothing is compressed, whatever stands here.
    pub compression: Compression,

    /// From how many bytes on a message is compressed. Default: 1,024 (1 KiB). 0 is every message.
    ///
    /// Lower saves traffic, and costs time for each message; what is far below 1 KiB fits into one packet of
    /// the network anyway.
    pub compression_threshold: usize,

    /// Whose pages may connect: `https://example.com`, each as browsers write it in `Origin`, or `*` for any.
    /// Default: `None`, pages of the same origin only.
    ///
    /// Clients that send no `Origin` are no browsers and are always admitted. An empty list admits no page at
    /// all. `*` lets any page that a user visits act with that user's cookies.
    pub origins: Option<Vec<String>>,

    /// How long a handler may still run when its session has been closed or lost, before it is cancelled.
    /// Default: 5 s.
    ///
    /// Zero cancels it at once.
    pub handler_grace: Duration,

    /// How long to wait for the peer's answer to our close frame. Default: 5 s.
    ///
    /// Longer is kinder to slow peers and holds on to connections whose peer is gone.
    pub close_timeout: Duration,

    /// How long a shutdown goes on as if nothing had happened when the server has said that it is no longer
    /// ready. Default: 0 s.
    ///
    /// For load balancers that ask now and then whether a server is ready: as long as they take to notice, so
    /// that they send nobody to a port that is closed. It comes before `drain_timeout`.
    pub drain_delay: Duration,

    /// How long a shutdown may take in all. Default: 30 s.
    ///
    /// Sessions that are left then are cut off, without a close frame. Keep it below the time after which the
    /// service manager kills the process. Zero cuts all off at once.
    pub drain_timeout: Duration,

    /// How many sessions a shutdown closes in one round. Default: 1,000.
    ///
    /// Smaller rounds spread the reconnecting clients over more time, at the expense of `drain_timeout`.
    pub drain_batch: usize,

    /// The pause between two rounds of a shutdown. Default: 100 ms. Zero is no pause.
    pub drain_interval: Duration,

    /// How long a shutdown waits for the request of a client that had just connected, where others take over
    /// the address: with `reuse_port`, and on sockets that the service manager passes. Default: 2 s.
    ///
    /// Such a client is served: its session is opened and closed with 1012, and it comes back to the others.
    /// Less turns away those who are slow; more waits for those who never ask.
    pub drain_grace: Duration,

    /// How long one component may take to be destroyed when the application ends, and how long a lazy one that is just being built is waited
    /// for. Default: 10 s.
    ///
    /// After it its `destroy` is cancelled, and the next has its turn. Longer lets more be written out; the service manager must
    /// bear it beside `drain_timeout`.
    pub destroy_timeout: Duration,

    /// How many connections may be open at a time, handshakes included; 0 is no limit. Default: 16,384.
    ///
    /// Beyond it handshakes are answered 503. As many idle connections take some 100 MiB; the worst case is
    /// as many times `send_buffer` plus `max_message_size`. The operating system has a limit of its own
    /// (`ulimit -n`).
    pub max_connections: usize,

    /// How many connections one address may have open at a time, handshakes included; 0 is no limit. Default: 4,096.
    ///
    /// An IPv6 address counts with all others of its /64, which is what one customer gets. Loopback addresses and `trusted_proxies`
    /// are not counted: those are the machine's own programs and proxies, behind which there are many. Where users come through a proxy
    /// that is not trusted, or a company's or carrier's gateway, they all have one address, and the limit must let them all in.
    /// Beyond it handshakes are answered 503.
    pub max_connections_per_address: usize,

    /// How many sessions one [identity](crate::Identity) may have open at a time, by its name; 0 is no limit. Default: 0.
    ///
    /// Off, because a principal may be a person with a few devices or a service with thousands of connections; only the application
    /// knows. Beyond it handshakes are answered 503, and who signs in later ([`Session::authorize`](crate::Session::authorize)) remains
    /// a stranger. A session that the application [refreshes](crate::Session::refresh) to be somebody else's counts for that one too.
    pub max_connections_per_principal: usize,

    /// How many handshakes a second are looked at, from everybody together. Default: `None`, off.
    ///
    /// Off, because all clients come back at once when a server has been restarted, and how many a machine can bear depends on the
    /// machine. Where handshakes ask a database, it keeps that alive. Beyond it they are answered 503.
    pub handshake_rate: Option<Rate>,

    /// How many handshakes a second are looked at from one address, which counts as for `max_connections_per_address`. Default:
    /// 1,000, with 4,096 at once.
    ///
    /// Beyond it they are answered 429.
    pub handshake_rate_per_address: Option<Rate>,

    /// How many messages a second a session may receive. Default: `None`, off.
    ///
    /// Off, because what is a flood in a chat is a quiet moment in a game. A message in fragments is one; pings and pongs are none.
    /// `over_rate` says what becomes of more.
    pub message_rate: Option<Rate>,

    /// How many bytes of messages a second a session may receive, after decompression. Default: `None`, off, for the same reason.
    ///
    /// A message may be larger than the burst: then the next one has to wait longer.
    pub byte_rate: Option<Rate>,

    /// What becomes of a message that comes too soon for `message_rate` or `byte_rate`. Default: [`OverRate::Wait`].
    pub over_rate: OverRate,

    /// How many bytes the queues of all sessions may hold together; 0 is no limit. Default: `None`, computed at the start and logged:
    /// half of the memory that the process may have (of its control group, or of the machine), less what idle connections need. On a
    /// system that does not tell how much that is (other than Linux), no limit.
    ///
    /// From four fifths of it on new handshakes are answered 503. When all of it is used, a session with more than 16 KiB in its
    /// queue counts as full, and its `overflow` decides.
    pub max_queue_memory: Option<usize>,

    /// The largest body of a request that goes to the fallback, in bytes; 0 is no limit. Default: 16,777,216 (16 MiB).
    ///
    /// A larger one is answered 413, and one that does not say how large it is, 411. A fallback that takes bodies of unknown size, as they
    /// are streamed, sets 0 here and limits them itself, as they come.
    pub max_body_size: usize,

    /// The largest head of a request, in bytes. Default: 16,384 (16 KiB). At least 8,192.
    ///
    /// Cookies and tokens stand there. Every client may make the server hold this much before it is known.
    pub max_head_size: usize,

    /// How many header fields a request may have. Default: 100. From 5, which a handshake needs, to 10,000.
    pub max_headers: usize,

    /// How long a client may take to send the head of its request. Default: 10 s.
    ///
    /// It bounds how long silent and deliberately slow clients hold a connection.
    pub head_timeout: Duration,

    /// Whether HTTP/2 is spoken beside HTTP/1.1 with whoever asks for it: a browser over TLS, or whoever knows beforehand. Default: `true`.
    ///
    /// A browser then opens all its WebSockets to this server in one connection (RFC 8441). Without the feature `http2` it is not spoken,
    /// whatever stands here.
    pub http2: bool,

    /// How many requests and sessions one HTTP/2 connection may have open at a time. Default: 100. From 1 to 10,000.
    ///
    /// What a client opens beyond waits there, a browser's pages included. Each may hold 128 KiB that no handler has looked at
    /// yet. A connection counts as one of `max_connections`, and each session in it as one more.
    pub http2_max_streams: usize,

    /// How many more streams an HTTP/2 connection may see reset before they were answered than it sees answered. Default: 100.
    ///
    /// Beyond it the connection is closed. A page that is left takes back all that it has asked for, so a few hundred are honest; to open streams
    /// and reset them, again and again, is an attack (CVE-2023-44487). Connections of `trusted_proxies` are not counted, since many clients
    /// share them: there it is the proxy's to do.
    pub http2_max_resets: usize,

    /// How long an endpoint's configurator and who verifies its tokens may take over one handshake. Default: 10 s.
    ///
    /// After it the handshake is answered 503. Longer bears a slower database, and keeps those who wait for it connected meanwhile.
    pub handshake_timeout: Duration,

    /// A file with the certificate for TLS in PEM: the chain, the server's own certificate first. Default:
    /// `None`, no TLS.
    ///
    /// With it and `tls_key` all TCP listeners speak TLS, unless the program says otherwise: its own
    /// `.tls(..)` replaces all of this, and a listener of its may be `.plain()`.
    pub tls_certificate: Option<PathBuf>,

    /// The file with the private key of `tls_certificate`, in PEM; it may be the same file. Default: `None`.
    pub tls_key: Option<PathBuf>,

    /// A file with the certificates, in PEM, of the authorities whose certificates clients show. Default:
    /// `None`, clients are asked for none.
    ///
    /// Each connection then costs one verification more, and no session of TLS is resumed.
    pub tls_client_authorities: Option<PathBuf>,

    /// What becomes of clients that show no certificate, where there are `tls_client_authorities`. Default:
    /// [`ClientCertificates::Required`].
    pub tls_client_certificates: ClientCertificates,

    /// How long a client may take for the TLS handshake. Default: 10 s.
    ///
    /// It bounds how long silent and deliberately slow clients hold a connection, before `head_timeout` does.
    pub tls_handshake_timeout: Duration,

    /// How often to look whether the files of certificates have changed; `None` is never. Default: 10 s.
    ///
    /// A file that has changed is read when the next look finds it unchanged. Each look asks the file system
    /// for the times of two or three files.
    pub tls_reload_interval: Option<Duration>,

    /// Whose word is taken for who a client is: addresses and networks of proxies, `10.0.0.0/8`, `::1`, and `unix` for whoever comes
    /// through a Unix socket. Default: nobody's.
    ///
    /// What these say in `Forwarded` (RFC 7239), or `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`, is the address, the scheme
    /// and the host of the handshake. From anybody else these headers mean nothing, since every client can write them. A proxy that is
    /// trusted must remove or complete what clients wrote there.
    pub trusted_proxies: Vec<String>,

    /// Whether connections that come in where `bind` says begin with a header of the PROXY protocol, version 1 or 2. Default: `false`.
    ///
    /// Then every connection must have one, from `trusted_proxies` or, if there are none, from anybody: such a port is for
    /// proxies only. See [`Listen::proxy_protocol`](crate::Listen::proxy_protocol).
    pub proxy_protocol: bool,

    /// What people call this process among the nodes of a cluster. Default: `None`, the name of the machine and the number of the process.
    ///
    /// Nothing goes by it: two may have the same.
    pub node_name: Option<String>,

    /// How long whoever sends, closes, counts or lists sessions of other nodes waits for the engine of the cluster and for their answers.
    /// Default: 1 s.
    ///
    /// After it they are told what is known by then. Longer bears slower engines, and keeps the handlers that wait for them waiting while the
    /// engine is down.
    pub cluster_deadline: Duration,

    /// How many bytes may wait for the engine of the cluster. Default: 8,388,608 (8 MiB).
    ///
    /// What is sent to other nodes beyond that is refused and counted; sessions of this process have it all the same. As much again may
    /// have arrived and wait to be delivered here. More bears longer stalls of the engine.
    pub cluster_queue: usize,

    /// Whether a server is [ready](crate::Container::is_ready) while it cannot reach the other nodes of its cluster for more than 5 s.
    /// Default: `false`.
    ///
    /// A load balancer then sends new clients to nodes that can. Where the engine of the cluster itself is what fails, no node is ready:
    /// with `true` all go on with who they have and who comes.
    pub ready_when_isolated: bool,

    /// After how long without a way to the other nodes of the cluster a server closes its sessions with 1012, in rounds as a shutdown does.
    /// Default: `None`, written `"off"`: they stay.
    ///
    /// For applications whose clients had better be on another node than alone on this one: `"30s"`.
    pub close_when_isolated: Option<Duration>,

    /// The application's own settings: the tables of the file, and the variables with two underscores in their names. Default: none.
    pub values: Values,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: vec!["127.0.0.1:8080".to_owned()],
            reuse_port: false,
            prefix: String::new(),
            max_message_size: 64 * 1024,
            idle_timeout: None,
            ping_interval: Some(Duration::from_secs(25)),
            pong_timeout: Duration::from_secs(20),
            send_buffer: 1024 * 1024,
            send_timeout: Duration::from_secs(20),
            overflow: Overflow::Disconnect,
            compression: Compression::On,
            compression_threshold: 1024,
            origins: None,
            handler_grace: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            drain_batch: 1000,
            drain_interval: Duration::from_millis(100),
            drain_grace: Duration::from_secs(2),
            destroy_timeout: Duration::from_secs(10),
            max_connections: 16 * 1024,
            max_connections_per_address: 4 * 1024,
            max_connections_per_principal: 0,
            handshake_rate: None,
            handshake_rate_per_address: Some(Rate::per_second(1000).burst(4096)),
            message_rate: None,
            byte_rate: None,
            over_rate: OverRate::Wait,
            max_queue_memory: None,
            max_body_size: 16 * 1024 * 1024,
            max_head_size: 16 * 1024,
            max_headers: 100,
            head_timeout: Duration::from_secs(10),
            http2: true,
            http2_max_streams: 100,
            http2_max_resets: 100,
            handshake_timeout: Duration::from_secs(10),
            tls_certificate: None,
            tls_key: None,
            tls_client_authorities: None,
            tls_client_certificates: ClientCertificates::Required,
            tls_handshake_timeout: Duration::from_secs(10),
            tls_reload_interval: Some(Duration::from_secs(10)),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            node_name: None,
            cluster_deadline: Duration::from_secs(1),
            cluster_queue: 8 << 20,
            ready_when_isolated: false,
            close_when_isolated: None,
            values: Values::default(),
        }
    }
}

impl Settings {
    /// The defaults, changed by `endpoint.toml` in the working directory, if there is one, and then by the
    /// `ENDPOINT_*` variables of the environment. `ENDPOINT_CONFIG` names another file, which must exist.
    ///
    /// # Errors
    ///
    /// All that is wrong, at once: a file that cannot be read or is not TOML, a key or variable that is no
    /// setting, a value that is none for its setting or with which no server could work.
    pub fn load() -> Result<Self, SettingsError> {
        let mut sources = Sources::new();
        sources.load(Path::new(""), std::env::vars_os());
        sources.finish()
    }

    /// As [`Settings::load`], from the path and text of a file and from an environment.
    #[cfg(test)]
    pub(crate) fn from_sources(
        file: Option<(&Path, &str)>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut sources = Sources::new();
        if let Some((path, text)) = file {
            sources.file(path, text);
        }
        sources.environment(environment.map(|(name, value)| (name.into(), value.into())));
        sources.finish()
    }
}

#[cfg(test)]
mod tests;
