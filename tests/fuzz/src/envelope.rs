//! Any bytes as what another node says: an envelope, which is the same bytes again when it is sent on, or none.

use bytes::Bytes;

use crate::cluster::envelope::{Envelope, MOST_EXCEPTIONS, Unreadable};

pub fn run(data: &[u8]) {
    let arrived = Bytes::copy_from_slice(data);
    match Envelope::decode(arrived.clone()) {
        Ok(envelope) => {
            assert!(envelope.except().len() <= MOST_EXCEPTIONS);
            assert_eq!(envelope.encoded_len(), data.len());
            assert_eq!(envelope.encode(), arrived);
            ends_where_it_ends(&arrived, data);
        }
        Err(Unreadable::Version(version)) => assert!(data[0] == version && version != 1),
        Err(Unreadable::Kind(kind)) => assert_eq!(data[..2], [1, kind]),
        Err(Unreadable::Malformed) => {}
    }
}

/// Neither less of it is an envelope, nor more.
fn ends_where_it_ends(arrived: &Bytes, data: &[u8]) {
    let less = arrived.slice(..arrived.len() - 1);
    assert_eq!(Envelope::decode(less), Err(Unreadable::Malformed));
    let more = [data, &[0]].concat();
    assert_eq!(Envelope::decode(more.into()), Err(Unreadable::Malformed));
}
