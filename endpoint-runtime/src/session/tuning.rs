//! What one session has of its own where the others have their endpoint's limits: `idle_timeout`, `send_timeout`, and the sizes of messages.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Limits, RETUNED, Session};

/// Longer than any connection lasts, and short enough to be added to any time.
const LONGEST: Duration = Duration::from_secs(8760 * 3600);

/// The limits that may differ from session to session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuned {
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) send_timeout: Option<Duration>,
    /// Those of messages only if they were changed: else the method that takes them has a say.
    pub(crate) max_text_size: Option<usize>,
    pub(crate) max_binary_size: Option<usize>,
    /// When the identity of the peer expires.
    pub(crate) expires: Option<Instant>,
}

impl From<&Limits> for Tuned {
    fn from(limits: &Limits) -> Self {
        Tuned {
            idle_timeout: limits.idle_timeout,
            send_timeout: Some(limits.send_timeout),
            max_text_size: None,
            max_binary_size: None,
            expires: None,
        }
    }
}

/// The limits of a session that were changed. Most sessions have none.
#[derive(Debug)]
pub(super) struct Tuning(Mutex<Tuned>);

impl Tuning {
    fn values(&self) -> MutexGuard<'_, Tuned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// How long the session may exchange no message before it is closed; pings and pongs count. `None`: for ever.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.tuned().idle_timeout
    }

    /// Changes [`idle_timeout`](Self::idle_timeout) for this session (Jakarta SES-14), at once: the silence so far counts. `None` and
    /// zero are no limit.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn f(session: &endpoint_runtime::Session) {
    /// session.set_idle_timeout(Duration::from_secs(300));
    /// session.set_idle_timeout(None);
    /// # }
    /// ```
    pub fn set_idle_timeout(&self, timeout: impl Into<Option<Duration>>) {
        let timeout = limit(timeout.into());
        self.tune(|tuned| tuned.idle_timeout = timeout);
    }

    /// How long a sender waits for room in the queue, and how long the peer may take nothing of what was sent. `None`: for ever.
    pub fn send_timeout(&self) -> Option<Duration> {
        self.tuned().send_timeout
    }

    /// Changes [`send_timeout`](Self::send_timeout) for this session (Jakarta ASY-07). `None` and zero are no limit.
    ///
    /// Who waits already waits as long as was set before. Without a limit a peer that takes nothing is found by its silence only, when
    /// it does not answer a ping.
    pub fn set_send_timeout(&self, timeout: impl Into<Option<Duration>>) {
        let timeout = limit(timeout.into());
        self.tune(|tuned| tuned.send_timeout = timeout);
    }

    /// The largest text message that is taken whole, bytes.
    pub fn max_text_size(&self) -> usize {
        self.forms().max_text
    }

    /// Changes [`max_text_size`](Self::max_text_size) for this session (Jakarta SES-16), from the next message on. A larger one
    /// closes the session with 1009.
    pub fn set_max_text_size(&self, bytes: usize) {
        self.tune(|tuned| tuned.max_text_size = Some(bytes));
    }

    /// The largest binary message that is taken whole, bytes.
    pub fn max_binary_size(&self) -> usize {
        self.forms().max_binary
    }

    /// Changes [`max_binary_size`](Self::max_binary_size) for this session (Jakarta SES-15), from the next message on. A larger one
    /// closes the session with 1009.
    pub fn set_max_binary_size(&self, bytes: usize) {
        self.tune(|tuned| tuned.max_binary_size = Some(bytes));
    }

    /// Changes when the session is closed because the identity of its peer has expired.
    pub(super) fn set_expiry(&self, time: Option<SystemTime>) {
        // Who never had any need not have room for it.
        if time.is_none() && self.0.tuning.get().is_none() {
            return;
        }
        let left = time.map(|time| time.duration_since(SystemTime::now()).unwrap_or_default());
        let expires = left.map(|left| Instant::now() + left.min(LONGEST));
        self.tune(|tuned| tuned.expires = expires);
    }

    /// All of them.
    pub(crate) fn tuned(&self) -> Tuned {
        match self.0.tuning.get() {
            Some(tuning) => *tuning.values(),
            None => Tuned::from(self.limits()),
        }
    }

    fn tune(&self, change: impl FnOnce(&mut Tuned)) {
        let tuning = self.0.tuning.get_or_init(|| Box::new(Tuning(Mutex::new(Tuned::from(self.limits())))));
        change(&mut tuning.values());
        self.retune();
    }

    /// Lets the connection look again at what may have changed.
    pub(super) fn retune(&self) {
        self.0.signal(RETUNED);
        // A deadline may be earlier now than what the connection has set its alarm for.
        self.0.outbox.wake();
    }
}

/// Zero is no limit (as in Jakarta).
fn limit(timeout: Option<Duration>) -> Option<Duration> {
    timeout.filter(|timeout| !timeout.is_zero()).map(|timeout| timeout.min(LONGEST))
}
