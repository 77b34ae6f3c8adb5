//! Any bytes as the body of a close frame: what is accepted may be sent, and is the same when it is sent on.

use crate::reader::{Event, read};
use crate::wire::{Decoder, Delivery, Role, may_be_sent, put_close};

pub fn run(data: &[u8]) {
    let Ok(length @ ..=125) = u8::try_from(data.len()) else { return };
    let mut frame = vec![0x88, length];
    frame.extend_from_slice(data);
    match first(&frame) {
        Event::Failed(code) => assert!(matches!(code, 1002 | 1007), "failed with {code}"),
        Event::Close(None) => assert!(data.is_empty()),
        Event::Close(Some((code, reason))) => {
            assert!(may_be_sent(code.into()), "{code}");
            assert_eq!(reason.as_bytes(), &data[2..]);
            let mut again = Vec::new();
            put_close(&mut again, code.into(), &reason);
            assert_eq!(again, frame);
        }
        other => panic!("{other:?}"),
    }
    // Any text as a reason is cut to what fits.
    let mut cut = Vec::new();
    put_close(&mut cut, 1000.into(), &String::from_utf8_lossy(data).repeat(3));
    assert!(matches!(first(&cut), Event::Close(Some((1000, _)))));
}

fn first(frame: &[u8]) -> Event {
    let decoder = Decoder::new(Role::Client, Delivery::Parts, Delivery::Parts);
    read(decoder, [frame]).remove(0)
}
