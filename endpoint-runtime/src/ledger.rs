//! What is counted and limited across sessions: [`Tally`] counts what happens, [`Queues`] the memory that waiting messages hold,
//! [`Addresses`] and [`Principals`] who has how many places, [`Bucket`] how much there may be in a second.
//!
//! Here is only what is kept; who is turned away for it, and how that is answered, is decided by those who keep their accounts here.

mod addresses;
mod bucket;
mod counters;
mod places;
mod principals;
mod queues;

use std::sync::Arc;

pub(crate) use self::addresses::{Addresses, Place};
pub(crate) use self::bucket::Bucket;
pub use self::counters::Counters;
pub(crate) use self::counters::Tally;
pub(crate) use self::places::Places;
pub(crate) use self::principals::{Principals, Seat, TOO_MANY_SESSIONS, note_crowded_principal};
pub(crate) use self::queues::Queues;

/// What is kept of all sessions of a server together, and of who would have liked to have one.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) tally: Tally,
    pub(crate) queues: Queues,
    pub(crate) principals: Arc<Principals>,
}
