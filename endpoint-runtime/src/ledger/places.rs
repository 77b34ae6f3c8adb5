//! [`Places`]: what a session has taken of what is limited, to be given back when it ends.

use super::{Place, Seat};

/// What a session has taken, until it ends. Boxed, and made for those who are counted.
#[derive(Debug, Default)]
pub(crate) struct Places {
    address: Option<Place>,
    principal: Option<Seat>,
}

impl Places {
    /// With this one for its address, if there is none yet.
    pub(crate) fn with(places: Option<Box<Self>>, place: Option<Place>) -> Option<Box<Self>> {
        let Some(place) = place else { return places };
        let mut places = places.unwrap_or_default();
        places.address.get_or_insert(place);
        Some(places)
    }

    /// With this one for its principal, if that is counted.
    pub(crate) fn seated(places: Option<Box<Self>>, seat: Option<Seat>) -> Option<Box<Self>> {
        let Some(seat) = seat else { return places };
        let mut places = places.unwrap_or_default();
        places.principal = Some(seat);
        Some(places)
    }
}
