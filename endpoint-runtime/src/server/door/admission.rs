//! [`Admission`]: a connection's place among those that speak HTTP, in all and from its address.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::limits;
use super::Door;
use crate::ledger::Place;
use crate::session::Ends;

/// Connections over a limit that are told so. Beyond, they are just closed: to tell them costs too.
const TOLD: usize = 256;
/// The same, of those from one address.
const TOLD_OF_ADDRESS: usize = 16;

/// Why there is no room for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The server has as many as it may.
    Server,
    /// The connection's address has.
    Address,
}

/// A connection's place among those that speak HTTP.
#[derive(Debug)]
pub(crate) struct Admission {
    door: Arc<Door>,
    /// By how many connections the server is over its limit with this one.
    over: usize,
    /// Its place among those of its address.
    pub(super) place: Option<Place>,
    full: Option<Full>,
}

impl Admission {
    /// The place of one by which the server is so many over its limit.
    pub(super) fn new(door: Arc<Door>, over: usize) -> Self {
        Admission { door, over, place: None, full: (over > 0).then_some(Full::Server) }
    }

    /// Where it was admitted.
    pub(crate) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// So many are one too many already that nobody has the time to tell this one.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.over > TOLD
    }

    /// Takes a place among the connections of its address; that of a trusted proxy, behind which are many, is not counted. Says whether there
    /// is any use in going on.
    pub(crate) fn take_place(&mut self, ends: &mut Ends) -> bool {
        let address = ends.remote.map(|remote| remote.ip());
        if self.door.proxies.have(address) {
            return true;
        }
        let Some((place, over)) = self.door.crowd.enter(address) else { return true };
        self.place = Some(place);
        ends.counted = over == 0;
        if over > 0 {
            limits::note_crowded_address(address, self.door.tally());
            self.full.get_or_insert(Full::Address);
        }
        over <= TOLD_OF_ADDRESS
    }

    /// Why it is one too many, if it is.
    pub(crate) fn full(&self) -> Option<Full> {
        self.full
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.door.http.fetch_sub(1, Ordering::AcqRel);
    }
}
