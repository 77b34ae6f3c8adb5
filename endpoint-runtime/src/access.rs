//! Who a peer is, and what that lets it do.
//!
//! A handshake establishes a [`Principal`] of the application's own type, and with it an [`Identity`], which says as much as the runtime needs to
//! know: a name, roles, and until when. A tower layer or a configurator does it, or [`BearerTokens`](crate::BearerTokens) that come with
//! the request. The session looks after it from there: `session/access.rs`.

mod identity;
mod principal;
mod roles;

pub use self::identity::Identity;
pub use self::principal::Principal;
pub use self::roles::Forbidden;
pub(crate) use self::roles::Roles;
