//! From tokens to syntax: what an attribute says, and what an `impl` block looks like from outside.
//!
//! Nothing is judged here beyond its form, and the bodies of methods stay tokens.

mod arguments;
mod block;

pub(crate) use self::arguments::{Argument, Arguments, Nested, Value};
pub(crate) use self::block::{Block, Member, Method};
