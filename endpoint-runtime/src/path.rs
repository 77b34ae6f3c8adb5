//! Paths: which endpoint a request path means, and what its variables hold.
//!
//! A [`Template`] is what an endpoint is declared with, `/rooms/{room}`. A `Router` holds the templates of
//! all deployed endpoints and finds the one for a request path; [`PathParams`] are the values it found there.
//!
//! A template is a URI template of RFC 6570 level 1 in which a variable fills a whole segment, as Jakarta
//! WebSocket 3.1.1 wants it, and with one extension: `{*rest}` as the last segment takes all segments that
//! are left. Matching is told at `Router::find`.

mod grammar;
mod params;
mod router;
mod template;

pub use params::{BadEncoding, PathParams};
pub(crate) use router::{Match, Router};
pub(crate) use template::has_variable;
pub use template::{Template, TemplateError};
