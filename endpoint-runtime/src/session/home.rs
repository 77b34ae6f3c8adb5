//! [`Home`]: what the sessions of one deployed endpoint have in common.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{DEFLATE, EndpointConfig, Extension, Group, Sessions};
use crate::context::ApplicationContext;
use crate::endpoint::Reception;
use crate::settings::{Compression, Options, OverRate, Overflow, Rate, Settings};

/// One deployed endpoint, as its sessions see it: what is configured for it, and where it is deployed.
#[derive(Debug)]
pub(crate) struct Home {
    config: EndpointConfig,
    /// The extensions that can be agreed on: the endpoint's own, and compression.
    installed: Vec<Extension>,
    /// Who takes its messages.
    pub(crate) reception: Reception,
    pub(crate) sessions: Sessions,
    /// Those of the same endpoint.
    pub(super) group: Arc<Group>,
    pub(crate) application: ApplicationContext,
    pub(crate) counts: Counts,
    /// The endpoint was undeployed: who comes in yet is sent away.
    gone: AtomicBool,
}

impl Home {
    pub(crate) fn new(
        config: EndpointConfig,
        reception: Reception,
        sessions: Sessions,
        application: ApplicationContext,
    ) -> Self {
        let compression = config.limits.compression.is_possible().then(|| Extension::new(DEFLATE));
        Home {
            installed: config.extensions.iter().cloned().chain(compression).collect(),
            group: sessions.group_of_endpoint(config.endpoint_type()),
            config,
            reception,
            sessions,
            application,
            counts: Counts::default(),
            gone: AtomicBool::new(false),
        }
    }

    pub(crate) fn config(&self) -> &EndpointConfig {
        &self.config
    }

    pub(crate) fn installed(&self) -> &[Extension] {
        &self.installed
    }

    /// From now on nobody is at home.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

/// Path, type and limits are asked for everywhere.
impl Deref for Home {
    type Target = EndpointConfig;

    fn deref(&self) -> &EndpointConfig {
        &self.config
    }
}

/// What holds for one session, after settings and annotation have been laid over each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_message_size: usize,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) pong_timeout: Duration,
    pub(crate) send_buffer: usize,
    pub(crate) send_timeout: Duration,
    pub(crate) overflow: Overflow,
    pub(crate) compression: Compression,
    /// Messages of fewer bytes go as they are.
    pub(crate) compression_threshold: usize,
    pub(crate) handler_grace: Duration,
    pub(crate) close_timeout: Duration,
    /// What may come in a second, and what becomes of more.
    pub(crate) message_rate: Option<Rate>,
    pub(crate) byte_rate: Option<Rate>,
    pub(crate) over_rate: OverRate,
    /// For how long a session can be resumed, if it can.
    #[cfg_attr(not(feature = "json"), allow(dead_code, reason = "then it is a problem of the deployment"))]
    pub(crate) resume: Option<Duration>,
}

impl Limits {
    /// What an endpoint says for itself goes before what holds for all.
    pub(crate) fn overridden(self, options: &Options) -> Self {
        Limits {
            max_message_size: options.max_message_size.unwrap_or(self.max_message_size),
            idle_timeout: options.idle_timeout.unwrap_or(self.idle_timeout),
            ping_interval: options.ping_interval.unwrap_or(self.ping_interval),
            send_buffer: options.send_buffer.unwrap_or(self.send_buffer),
            overflow: options.overflow.unwrap_or(self.overflow),
            compression: options.compression.unwrap_or(self.compression),
            compression_threshold: options.compression_threshold.unwrap_or(self.compression_threshold),
            message_rate: options.message_rate.unwrap_or(self.message_rate),
            byte_rate: options.byte_rate.unwrap_or(self.byte_rate),
            over_rate: options.over_rate.unwrap_or(self.over_rate),
            resume: options.resume,
            ..self
        }
    }
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        Limits {
            max_message_size: settings.max_message_size,
            idle_timeout: settings.idle_timeout,
            ping_interval: settings.ping_interval,
            pong_timeout: settings.pong_timeout,
            send_buffer: settings.send_buffer,
            send_timeout: settings.send_timeout,
            overflow: settings.overflow,
            compression: settings.compression,
            compression_threshold: settings.compression_threshold,
            handler_grace: settings.handler_grace,
            close_timeout: settings.close_timeout,
            message_rate: settings.message_rate,
            byte_rate: settings.byte_rate,
            over_rate: settings.over_rate,
            resume: None,
        }
    }
}

/// What is counted for one deployed endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Messages for which the endpoint has no method.
    pub(crate) unhandled: AtomicU64,
    /// Handlers that panicked.
    pub(crate) panics: AtomicU64,
    /// Peers that were closed for being too slow.
    pub(crate) too_slow: AtomicU64,
}
