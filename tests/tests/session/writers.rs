//! Writers: one message of unknown length in frames of bounded size, what is no text, and what becomes of a message that nobody finishes.

use std::io::ErrorKind;
use std::time::Duration;

use endpoint_runtime::prelude::*;
use endpoint_runtime::{self as runtime, SendError};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::fragments_out::{BINARY_BEGINS, ENDS, GOES_ON, TEXT_BEGINS, elsewhere, opened, parts, stuck};
use crate::logged::Lines;
use crate::support::{BINARY, CLOSE, Raw, TEXT, close_frame, frame, only_session, settle, soon};

#[tokio::test(start_paused = true)]
async fn a_short_message_is_one_frame() {
    let (_app, _heard, mut raw, session) = opened().await;
    let mut writer = session.text_writer();
    for word in ["one ", "two ", "three"] {
        writer.write_all(word.as_bytes()).await.unwrap();
    }
    // Nothing has begun, so nobody waits for its end.
    session.send("before").await.unwrap();
    writer.finish().await.unwrap();
    raw.expect(TEXT, "before").await;
    raw.expect(TEXT, "one two three").await;
    let mut writer = session.binary_writer();
    writer.write_all(&[0xff; 3]).await.unwrap();
    writer.shutdown().await.unwrap();
    raw.expect(BINARY, [0xff; 3]).await;
    // It is finished.
    writer.shutdown().await.unwrap();
    assert_eq!(writer.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test(start_paused = true)]
async fn without_a_write_there_is_no_message_and_a_write_of_nothing_is_one() {
    let (_app, _heard, mut raw, session) = opened().await;
    session.text_writer().finish().await.unwrap();
    let mut writer = session.binary_writer();
    writer.flush().await.unwrap();
    writer.finish().await.unwrap();
    drop(session.text_writer());
    let mut writer = session.text_writer();
    assert_eq!(writer.write(b"").await.unwrap(), 0);
    writer.finish().await.unwrap();
    raw.expect(TEXT, "").await;
    let mut writer = session.binary_writer();
    assert_eq!(writer.write(b"").await.unwrap(), 0);
    writer.flush().await.unwrap();
    writer.finish().await.unwrap();
    raw.expect(BINARY, "").await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_sends_what_there_is() {
    let (_app, _heard, mut raw, session) = opened().await;
    let mut writer = session.text_writer();
    writer.write_all("a".as_bytes()).await.unwrap();
    writer.flush().await.unwrap();
    raw.expect(TEXT_BEGINS, "a").await;
    // Half a character stays.
    writer.write_all(&"bé".as_bytes()[..2]).await.unwrap();
    writer.flush().await.unwrap();
    raw.expect(GOES_ON, "b").await;
    writer.flush().await.unwrap();
    writer.write_all(&"é".as_bytes()[1..]).await.unwrap();
    writer.finish().await.unwrap();
    raw.expect(ENDS, "é").await;
}

#[tokio::test(start_paused = true)]
async fn a_long_message_is_fragments_of_bounded_size_whatever_the_writes() {
    let text: String = (0..30_000).map(|number| format!("{number} äöü€🎉 ")).collect();
    for size in [1, 3, 1000, 16 * 1024, 100_000, text.len()] {
        let (app, _heard) = parts().await;
        let mut raw = Raw::open(&app, "/parts").await;
        let session = only_session(&app).await;
        let writing = elsewhere(&session, {
            let text = text.clone();
            async move |session: Session| {
                let mut writer = session.text_writer();
                for piece in text.as_bytes().chunks(size) {
                    writer.write_all(piece).await?;
                }
                writer.finish().await
            }
        });
        let mut came = Vec::new();
        loop {
            let (first, payload) = raw.frame().await.unwrap();
            assert_eq!(first & 0x0f, u8::from(came.is_empty()));
            assert!(payload.len() <= 80 * 1024, "{} bytes by {size}", payload.len());
            // Each part for itself is text.
            assert!(std::str::from_utf8(&payload).is_ok(), "by {size}");
            came.extend(payload);
            if first & 0x80 != 0 {
                break;
            }
        }
        assert!(came == text.as_bytes(), "by {size}");
        writing.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_keeps_the_peers_pace_and_holds_little() {
    let (app, _heard) = parts().await;
    let mut raw = Raw::open_narrow(&app, "/parts", 64 * 1024).await;
    let session = only_session(&app).await;
    const LENGTH: u64 = 64 * 1024 * 1024;
    let writing = elsewhere(&session, async |session: Session| {
        let mut writer = session.binary_writer();
        let mut source = tokio::io::AsyncReadExt::take(tokio::io::repeat(7), LENGTH);
        tokio::io::copy(&mut source, &mut writer).await?;
        writer.finish().await
    });
    settle().await;
    assert!(!writing.is_finished());
    let mut came = 0;
    while came < LENGTH {
        assert!(session.queued_bytes() < 100_000, "{}", session.queued_bytes());
        let (first, payload) = raw.frame().await.unwrap();
        assert_eq!(first, if came == 0 { BINARY_BEGINS } else { GOES_ON });
        came += payload.len() as u64;
    }
    assert_eq!(came, LENGTH);
    raw.expect(ENDS, "").await;
    writing.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_text_must_be_utf8() {
    let (_app, _heard, mut raw, session) = opened().await;
    for bad in [&b"\xff"[..], b"abc\x80", b"\xc3\x28", b"\xed\xa0\x80", b"\xf5"] {
        let mut writer = session.text_writer();
        writer.write_all(b"so far so good ").await.unwrap();
        assert_eq!(writer.write_all(bad).await.unwrap_err().kind(), ErrorKind::InvalidData, "{bad:?}");
        // What is wrong stays wrong.
        assert_eq!(writer.write_all(b"x").await.unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::InvalidData);
    }
    let mut writer = session.text_writer();
    writer.write_all(&"🎉".as_bytes()[..3]).await.unwrap();
    assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::InvalidData);
    // Nothing of all that went out.
    session.send("next").await.unwrap();
    raw.expect(TEXT, "next").await;
    // Byte by byte, whatever lies at the end of a fragment.
    let text = "🎉".repeat(10_000);
    let writing = elsewhere(&session, {
        let text = text.clone();
        async move |session: Session| {
            let mut writer = session.text_writer();
            writer.write_all(b"!").await?;
            for byte in text.as_bytes() {
                writer.write_all(&[*byte]).await?;
            }
            writer.finish().await
        }
    });
    let (kind, came, frames) = raw.message().await;
    assert!(kind == 1 && frames > 1 && came == format!("!{text}").as_bytes());
    writing.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_dropped_before_anything_went_out_sends_nothing() {
    let (lines, _guard) = Lines::listen();
    let (_app, _heard, mut raw, session) = opened().await;
    lines.loud();
    let mut writer = session.text_writer();
    writer.write_all(b"never mind").await.unwrap();
    drop(writer);
    session.send("next").await.unwrap();
    raw.expect(TEXT, "next").await;
    // One that has waited for its turn, too.
    session.send_fragment(Fragment::new("a", false)).await.unwrap();
    let waiting = elsewhere(&session, async |session: Session| {
        let mut writer = session.text_writer();
        for _ in 0..2 {
            writer.write_all(&[b'x'; 20_000]).await?;
        }
        writer.finish().await
    });
    settle().await;
    waiting.abort();
    session.send_fragment(Fragment::new("b", true)).await.unwrap();
    assert_eq!(raw.message().await.1, b"ab");
    session.send_fragment(Fragment::new("c", false)).await.unwrap();
    raw.expect(TEXT_BEGINS, "c").await;
    assert!(session.is_open());
    assert_eq!(lines.loud(), []);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_dropped_in_the_middle_closes_the_session() {
    let (lines, _guard) = Lines::listen();
    let (_app, mut heard, mut raw, session) = opened().await;
    lines.loud();
    let mut writer = session.binary_writer();
    writer.write_all(b"half of ").await.unwrap();
    writer.flush().await.unwrap();
    drop(writer);
    assert!(!session.is_open());
    raw.expect(BINARY_BEGINS, "half of ").await;
    assert_eq!(raw.close_code().await, (1011, "a message was left unfinished".to_owned()));
    heard.expect("close 1011 a message was left unfinished").await;
    let loud = lines.loud();
    assert_eq!(loud.len(), 1, "{loud:?}");
    assert!(loud[0].1.contains("a writer was dropped in the middle of its message"), "{loud:?}");

    // Who has been closed already is not told off.
    let (_app, mut heard, mut raw, session) = opened().await;
    let mut writer = session.binary_writer();
    writer.write_all(b"half of ").await.unwrap();
    writer.flush().await.unwrap();
    session.close(CloseReason::normal()).await.unwrap();
    drop(writer);
    raw.expect(BINARY_BEGINS, "half of ").await;
    raw.expect(CLOSE, 1000u16.to_be_bytes()).await;
    raw.write(&close_frame(1000, "")).await;
    heard.expect("close 1000").await;
    assert!(lines.loud().iter().all(|(level, _)| *level == tracing::Level::INFO));
}

#[tokio::test(start_paused = true)]
async fn what_a_writer_fails_with_says_how_sending_failed() {
    let (_app, mut raw, session) = stuck(Overflow::Wait).await;
    session.set_send_timeout(Duration::from_secs(3));
    let begin = Instant::now();
    let writing = elsewhere(&session, async |session: Session| {
        let mut writer = session.binary_writer();
        loop {
            if let Err(error) = writer.write_all(&[0; 1000]).await {
                assert_eq!(writer.write(b"x").await.unwrap_err().kind(), error.kind());
                assert_eq!(writer.finish().await.unwrap_err().kind(), error.kind());
                return error;
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    raw.take_in(50).await;
    let error = writing.await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(3) && begin.elapsed() < Duration::from_secs(4));
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(matches!(runtime::Error::from(error), Error::Send(SendError::Full)));

    let (_app, _heard, _raw, session) = opened().await;
    session.send_fragment(Fragment::new("a", false)).await.unwrap();
    let mut writer = session.binary_writer();
    writer.write_all(b"x").await.unwrap();
    let error = soon("the error", writer.flush()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    assert!(matches!(runtime::Error::from(error), Error::Send(SendError::Busy { .. })));
}

/// That a peer has gone is no error of the method that writes to it.
#[tokio::test(start_paused = true)]
async fn a_method_whose_peer_goes_while_it_writes_has_not_failed() {
    let (lines, _guard) = Lines::listen();
    for closes in [true, false] {
        let (_app, mut heard, mut raw, _session) = opened().await;
        lines.loud();
        raw.write(&frame(TEXT, b"write")).await;
        let (first, _) = raw.frame().await.unwrap();
        assert_eq!(first, TEXT_BEGINS);
        if closes {
            raw.write(&close_frame(1000, "")).await;
            assert_eq!(raw.close_code().await, (1000, String::new()));
            heard.expect("close 1000").await;
        } else {
            drop(raw);
            assert!(heard.next().await.starts_with("close 1006 the connection was lost"));
        }
        assert_eq!(lines.loud(), []);
    }
}
