//! Who a peer is and what it may: tokens, roles, users, and the end of an authorization.

mod bearer;
mod browser;
mod expiry;
mod roles;
mod secure;
mod support;
mod users;
