//! Group K: what coders throw arrives in `on_error`, which can still send a message: the session stays open (CD-09, CD-12, OR-10).

use super::*;
use crate::far::same;
use crate::table::table;
use crate::told::diary;

/// What `on_error` is told when the decoder fails: about whole messages a `DecodeError` that keeps the message; the error of a stream as
/// it is.
fn decoding_failed(book: &Book, text: &str, cause: &str) -> String {
    match (book.is_stream, book.is_text, cause) {
        (true, _, "no disk") => "error: no disk (io)".to_owned(),
        (true, _, cause) => format!("error: {cause}"),
        (false, true, cause) => format!("error: cannot decode the message: {cause}, of Text({text:?})"),
        (false, false, cause) => format!("error: cannot decode the message: {cause}, of Binary(b{text:?})"),
    }
}

async fn throws(book: Book) {
    let (told, mut heard) = diary();
    let causes = [("throw", "thrown by a coder"), ("io", "no disk")];
    let mut rows = Vec::new();
    for (text, cause) in causes {
        rows.push((text.to_owned(), decoding_failed(&book, text, cause)));
        for how in ["return", "send", "post"] {
            rows.push((format!("{how}:{text}"), format!("error: cannot encode the message: {cause}")));
        }
    }
    let mut far = (book.open)(told).await;
    for (sent, account) in rows {
        far.send(framed(book.is_text, &sent)).await;
        same(&far.message().await, &Frame::text(account), &sent);
        // The session is open, and the coders are as good as before.
        far.send(framed(book.is_text, "return:fine")).await;
        same(&far.message().await, &framed(book.is_text, "fine"), format!("after {sent}"));
    }
    far.close().await;
    let told = heard.before("close").await;
    let count = |what| told.iter().filter(|entry| *entry == what).count();
    assert_eq!((count("decode"), count("encode")), (16, 14));
    assert_eq!(heard.so_far(), ["decoder destroy", "encoder destroy"]);
}

#[tokio::test]
async fn what_coders_throw_arrives_in_on_error() {
    table(every_book().into_iter().map(|book| (book.name.clone(), throws(book)))).await;
}

/// What no decoder will decode is an error with the message too, and the next message is looked at (CD-08).
#[derive(Default)]
struct Picky;

impl Decoder for Picky {
    type Input = Text;
    type Value = Note;

    fn will_decode(&self, text: &Text) -> bool {
        text.starts_with("return:")
    }

    async fn decode(&mut self, text: Text) -> Result<Note> {
        Ok(Note(text.into()))
    }
}

books! { picky_books:
    picky TEXT, [Picky], TextEncoder;
}

#[tokio::test]
async fn what_nobody_will_decode_arrives_in_on_error() {
    table(picky_books().into_iter().map(|book| {
        let name = book.name.clone();
        let run = async move {
            let mut far = (book.open)(diary().0).await;
            far.text("?").await;
            let account = "error: cannot decode the message: none of the endpoint's decoders will decode it, of Text(\"?\")";
            same(&far.message().await, &Frame::text(account), "?");
            far.text("return:fine").await;
            same(&far.message().await, &Frame::text("fine"), "after ?");
        };
        (name, run)
    }))
    .await;
}
