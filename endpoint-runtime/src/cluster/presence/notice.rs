//! [`Notice`]: who has come into a room and left it, as nodes tell each other.

use bytes::Bytes;

use crate::cluster::codec::{Malformed, Reader, Writer};
use crate::session::PresentMember;

/// Of so many who come at the same time each is named, and of so many who leave; more are counted.
pub(super) const NAMED: usize = 50;

/// A longer name of a user is not told.
pub(super) const LONGEST_USER: usize = 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) entered: Vec<PresentMember>,
    pub(super) left: Vec<PresentMember>,
    /// More who have come.
    pub(super) more_entered: usize,
    pub(super) more_left: usize,
}

impl Notice {
    pub(super) fn enters(&mut self, member: PresentMember) {
        name(&mut self.entered, &mut self.more_entered, member);
    }

    pub(super) fn leaves(&mut self, member: PresentMember) {
        name(&mut self.left, &mut self.more_left, member);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entered.is_empty() && self.left.is_empty()
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::new();
        for members in [&self.entered, &self.left] {
            writer.list(members, |writer, member| {
                writer.session(member.id).option(member.user.as_deref(), Writer::str)
            });
        }
        writer.length(self.more_entered).length(self.more_left);
        writer.finish()
    }

    /// What a later version may add at the end is ignored.
    pub(super) fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload.clone());
        let mut members = || reader.list(NAMED, read);
        let (entered, left) = (members()?, members()?);
        let (more_entered, more_left) = (reader.length(usize::MAX)?, reader.length(usize::MAX)?);
        Ok(Notice { entered, left, more_entered, more_left })
    }
}

fn read(reader: &mut Reader) -> Result<PresentMember, Malformed> {
    let id = reader.session()?;
    let user = reader.option(|reader| reader.str(LONGEST_USER))?;
    Ok(PresentMember::new(id, user.map(|user| user.to_string())))
}

fn name(named: &mut Vec<PresentMember>, more: &mut usize, member: PresentMember) {
    if named.len() < NAMED {
        named.push(member);
    } else {
        *more += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::SessionId;

    fn member(serial: u64) -> PresentMember {
        let user = serial.is_multiple_of(2).then(|| format!("user {serial}"));
        PresentMember::new(SessionId::new(1, serial), user)
    }

    #[test]
    fn a_notice_is_read_back() {
        let mut notice = Notice::default();
        assert!(notice.is_empty());
        (0..3).for_each(|serial| notice.enters(member(serial)));
        notice.leaves(member(9));
        assert!(!notice.is_empty());
        assert_eq!(Notice::decode(&notice.encode()), Ok(notice));
    }

    #[test]
    fn a_crowd_is_counted() {
        let mut notice = Notice::default();
        (0..100_000).for_each(|serial| notice.enters(member(serial)));
        let payload = notice.encode();
        assert!(payload.len() < NAMED * 32, "{}", payload.len());
        let read = Notice::decode(&payload).unwrap();
        assert_eq!((read.entered.len(), read.more_entered), (NAMED, 100_000 - NAMED));
    }

    proptest! {
        #[test]
        fn anything_is_read_without_harm(payload: Vec<u8>) {
            let _ = Notice::decode(&payload.into());
        }
    }
}
