//! Who a session's peer is now: as the handshake established it, or as it was refreshed since.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Extensions;

use super::Session;
use crate::access::{Forbidden, Identity, Principal};
use crate::error::Result;
use crate::ledger::{Seat, TOO_MANY_SESSIONS, note_crowded_principal};

/// What was established after the handshake: an [`Identity`], and principals, each by its type. Most sessions have none.
#[derive(Debug, Default)]
pub(super) struct Refreshed(Mutex<Now>);

#[derive(Debug, Default)]
struct Now {
    established: Extensions,
    /// The session's among those of who the peer is now, if that is somebody else than at the handshake.
    seat: Option<Seat>,
}

impl Refreshed {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session is over: others may have its seat.
    pub(super) fn leave(&self) {
        self.now().seat = None;
    }
}

impl Session {
    /// Who the peer is now, if a [`Principal`](crate::Principal) of this type was established in the handshake, or by a
    /// [`refresh`](Self::refresh) (Jakarta SES-29).
    pub fn principal<T: Send + Sync + 'static>(&self) -> Option<Principal<T>> {
        self.established()
    }

    /// What the runtime knows of who the peer is now; `None` for a stranger.
    pub fn identity(&self) -> Option<Identity> {
        self.established()
    }

    /// Whether the peer is in this role now; a stranger is in none.
    pub fn has_role(&self, role: &str) -> bool {
        self.identity().is_some_and(|identity| identity.has_role(role))
    }

    /// Says who the peer is from now on: handlers get this principal, roles are looked up in it, and the session lives until it expires, if it does.
    ///
    /// The session becomes its user's, unless the application has called it another's ([`set_user`](Self::set_user)). A principal of another
    /// type stays what it was. [`handshake`](Self::handshake) still says who the peer was when it connected, and what the endpoint requires was
    /// asked then.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use endpoint_runtime::prelude::*;
    /// # struct User(String);
    /// fn prolong(session: &Session, who: Principal<User>) {
    ///     session.refresh(who.expires_at(SystemTime::now() + Duration::from_secs(900)));
    /// }
    /// ```
    pub fn refresh<T: Send + Sync + 'static>(&self, principal: Principal<T>) {
        let mut established = Extensions::new();
        principal.establish(&mut established);
        self.assume(established, None);
    }

    /// The peer is who its token says from now on, unless something speaks against it: the last step of [`authorize`](Self::authorize), whose
    /// errors these are.
    pub(crate) fn sign_in(&self, established: Extensions) -> Result<()> {
        let name = |identity: Option<&Identity>| Some(identity?.name()?.to_owned());
        let (before, after) = (name(self.identity().as_ref()), name(established.get()));
        if before.is_some() && before != after {
            return Err(Forbidden::because("this is somebody else's token").into());
        }
        if established.get().is_some_and(Identity::has_expired) {
            return Err(Forbidden::because("this token has expired").into());
        }
        self.home().roles.admit(established.get()).map_err(Forbidden::refused)?;
        let new = after.filter(|_| before.is_none());
        let seat = new.map(|name| self.sit_down(&name)).transpose()?.flatten();
        self.assume(established, seat);
        Ok(())
    }

    /// Takes a seat among the sessions of who signs in.
    fn sit_down(&self, name: &str) -> Result<Option<Seat>> {
        let ledger = self.sessions().ledger();
        let refused = |limit| {
            note_crowded_principal(limit, &ledger.tally);
            Forbidden::because(TOO_MANY_SESSIONS).into()
        };
        ledger.principals.admit(name).map_err(refused)
    }

    /// Whether the peer may have what takes one of these roles.
    pub(crate) fn permit(&self, roles: &'static [&'static str]) -> Result<(), Forbidden> {
        Forbidden::unless(self.identity().as_ref(), roles)
    }

    /// What was established of this type.
    fn established<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        let refreshed =
            self.0.refreshed.get().and_then(|refreshed| refreshed.now().established.get().cloned());
        refreshed.or_else(|| self.handshake().extensions().get().cloned())
    }

    /// What is established takes the place of what was; `seat` is for who the peer is from now on, if it was asked for.
    fn assume(&self, established: Extensions, seat: Option<Seat>) {
        let after = established.get().cloned().unwrap_or_default();
        let mut now = self.0.refreshed.get_or_init(Box::default).now();
        let before = now.established.get().or_else(|| self.handshake().identity()).cloned();
        let mut all = now.established.clone();
        all.extend(established);
        let replaced = std::mem::replace(&mut now.established, all);
        // Under the lock: of two that come at once, one has it all its way.
        self.go_by(before.as_ref(), &after);
        if before.as_ref().and_then(Identity::name) != after.name() {
            now.seat = self.seat_of(after.name(), seat);
        }
        drop(now);
        // What belongs to the application is dropped when no lock is held.
        drop(replaced);
    }

    /// The seat for who the peer is now: this one, or another whether there is room or not; none for who has one since the handshake, and for
    /// a session that is over.
    fn seat_of(&self, name: Option<&str>, seat: Option<Seat>) -> Option<Seat> {
        let at_first = self.handshake().identity().and_then(Identity::name);
        let name = name.filter(|name| at_first != Some(*name) && !self.memberships().gone)?;
        seat.or_else(|| self.sessions().ledger().principals.take(name))
    }

    /// The session's user and the end of its time follow who the peer is.
    pub(super) fn go_by(&self, before: Option<&Identity>, now: &Identity) {
        let mut memberships = self.memberships();
        let user = before.and_then(Identity::name);
        if memberships.user() == user && user != now.name() {
            self.become_users(&mut memberships, now.name());
        }
        drop(memberships);
        self.set_expiry(now.expires());
    }
}
