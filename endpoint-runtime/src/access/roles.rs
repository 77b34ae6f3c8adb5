//! [`Roles`]: which roles an endpoint or a method requires, and what who is in none of them is told: 401, 403, [`Forbidden`].

use std::borrow::Cow;
use std::fmt;

use super::Identity;
use crate::error::Refusal;

/// `require = ["a", "b"]`: the peer must be in one of these roles. Without any, everybody may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles(Vec<String>);

impl Roles {
    pub(crate) fn new(roles: Vec<String>) -> Self {
        Roles(roles)
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether the handshake of who is this may go on. What it says tells a stranger nothing of what there is to be had, and who is known
    /// only that it is not for him.
    pub(crate) fn admit(&self, identity: Option<&Identity>) -> Result<(), Refusal> {
        match identity {
            _ if self.0.is_empty() => Ok(()),
            None => Err(Refusal::unauthorized("who are you?")),
            Some(identity) if is_in_one(identity, &self.0) => Ok(()),
            Some(_) => Err(Refusal::forbidden("this is not for you")),
        }
    }
}

fn is_in_one<S: AsRef<str>>(identity: &Identity, roles: &[S]) -> bool {
    roles.iter().any(|role| identity.has_role(role.as_ref()))
}

/// A peer has asked for something that it may not have: a message for a method with `#[on_message(require = "role")]` while the peer is in
/// no such role, or a token that is not accepted ([`Session::authorize`](crate::Session::authorize)).
///
/// The session stays open, and an `#[on_error]` method may take it:
///
/// ```
/// use endpoint_runtime::Forbidden;
/// use endpoint_runtime::prelude::*;
///
/// #[server_endpoint("/board", require = ["reader", "writer"])]
/// struct Board;
///
/// #[handlers]
/// impl Board {
///     #[on_message(require = "writer")]
///     fn write(&self, text: String) -> String {
///         text
///     }
///
///     #[on_error]
///     fn forbidden(&self, error: &Forbidden) -> String {
///         error.to_string()       // "this takes the role `writer`"
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    roles: &'static [&'static str],
    reason: Cow<'static, str>,
}

impl Forbidden {
    /// The peer is in none of these roles.
    fn without(roles: &'static [&'static str]) -> Self {
        let reason = match roles {
            [role] => format!("this takes the role `{role}`"),
            roles => format!("this takes one of the roles `{}`", roles.join("`, `")),
        };
        Forbidden { roles, reason: reason.into() }
    }

    /// For this reason, which the peer may be told.
    pub(crate) fn because(reason: impl Into<Cow<'static, str>>) -> Self {
        Forbidden { roles: &[], reason: reason.into() }
    }

    /// What would refuse a handshake, and a session does not get.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self::because(refusal.reason().to_owned())
    }

    /// Whether who is this may have what takes one of these roles.
    ///
    /// # Errors
    /// He may not.
    pub(crate) fn unless(identity: Option<&Identity>, roles: &'static [&'static str]) -> Result<(), Self> {
        match identity {
            Some(identity) if is_in_one(identity, roles) => Ok(()),
            _ => Err(Self::without(roles)),
        }
    }

    /// The roles of which one would have been enough; none if this is not about roles.
    pub fn roles(&self) -> &'static [&'static str] {
        self.roles
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Forbidden {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_roles_is_enough() {
        let roles = |list: &[&str]| Roles::new(list.iter().map(|&role| role.to_owned()).collect());
        let editor = Identity::default().role("editor");
        let table: &[(&[&str], Option<&Identity>, u16)] = &[
            (&[], None, 200),
            (&[], Some(&editor), 200),
            (&["editor"], Some(&editor), 200),
            (&["admin", "editor"], Some(&editor), 200),
            (&["admin"], Some(&editor), 403),
            (&["admin"], Some(&Identity::default()), 403),
            (&["admin"], None, 401),
        ];
        for (required, identity, status) in table {
            let admitted = roles(required).admit(*identity);
            let answered = admitted.map_or_else(|refusal| refusal.status().as_u16(), |()| 200);
            assert_eq!(answered, *status, "{required:?} {identity:?}");
        }
    }

    #[test]
    fn it_says_what_is_missing() {
        let one = Forbidden::unless(None, &["admin"]).unwrap_err();
        assert_eq!((one.to_string().as_str(), one.roles()), ("this takes the role `admin`", &["admin"][..]));
        let several = Forbidden::unless(Some(&Identity::new("bo")), &["a", "b"]).unwrap_err();
        assert_eq!(several.to_string(), "this takes one of the roles `a`, `b`");
        assert_eq!(Forbidden::unless(Some(&Identity::default().role("b")), &["a", "b"]), Ok(()));
    }
}
