//! [`Identity`]: what the runtime knows of who a peer is.

use std::sync::Arc;
use std::time::SystemTime;

/// Who a peer is, as far as that is the runtime's business: a name, the roles it is in, and until when this holds.
///
/// It is the side of a [`Principal`](crate::Principal) that has no type of the application's: `require = "role"` looks at it, the session belongs
/// to the user of its name, and a session whose identity expires is closed. Cheap to clone.
///
/// ```
/// use endpoint_runtime::Identity;
///
/// let identity = Identity::new("bo").role("admin").role("editor");
/// assert_eq!(identity.name(), Some("bo"));
/// assert!(identity.has_role("editor") && !identity.has_role("owner"));
/// assert_eq!(Identity::default().name(), None, "somebody, but nobody knows who");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity(Option<Arc<Facts>>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Facts {
    name: Option<Box<str>>,
    roles: Vec<Box<str>>,
    expires: Option<SystemTime>,
}

impl Identity {
    /// The identity of this name, in no role, which does not expire.
    pub fn new(name: impl Into<String>) -> Self {
        Identity::default().named(name)
    }

    /// The same under this name: the one that [`Sessions::user`](crate::Sessions::user) finds its sessions by.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.facts().name = Some(name.into().into());
        self
    }

    /// The same, in this role too. Roles are compared letter by letter.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        let role = role.into();
        if !self.has_role(&role) {
            self.facts().roles.push(role.into());
        }
        self
    }

    /// The same until then. A session is closed with 1008 when its identity expires, unless it was refreshed
    /// ([`Session::refresh`](crate::Session::refresh)); a handshake whose identity has expired is refused with 401.
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.facts().expires = Some(time);
        self
    }

    /// The name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref()?.name.as_deref()
    }

    /// The roles, in the order in which they were given.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|facts| facts.roles.iter().map(|role| &**role))
    }

    /// Whether it is in this role (Jakarta's `isUserInRole`, HS-04).
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|own| own == role)
    }

    /// Until when it holds; `None`: for as long as the connection does.
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.as_ref()?.expires
    }

    /// Whether its time is over.
    pub(crate) fn has_expired(&self) -> bool {
        self.expires().is_some_and(|expires| expires <= SystemTime::now())
    }

    fn facts(&mut self) -> &mut Facts {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_added_is_not_shared() {
        let bo = Identity::new("bo").role("editor");
        let admin = bo.clone().role("admin").role("admin");
        assert_eq!(bo.roles().collect::<Vec<_>>(), ["editor"]);
        assert_eq!(admin.roles().collect::<Vec<_>>(), ["editor", "admin"]);
        assert!(!bo.has_role("Editor"));
    }

    #[test]
    fn it_expires() {
        let now = SystemTime::now();
        let table = [(None, false), (Some(now), true), (Some(now + Duration::from_secs(3600)), false)];
        for (time, expired) in table {
            let identity = time.map_or_else(Identity::default, |time| Identity::default().expires_at(time));
            assert_eq!(identity.has_expired(), expired, "{time:?}");
            assert_eq!(identity.expires(), time);
        }
    }
}
