//! Group J: each connection brings its coders into service once, asks them, and takes them out of it once (CD-01, CD-02); a decoder that will
//! not decode is passed over (CD-03, CD-04, CD-07).

use super::*;
use crate::far::same;
use crate::table::table;
use crate::told::diary;

/// Two notes are read and written; what the coders told of it, in order.
async fn lives(book: Book, refusals: &[&str], inits: &[&str], destroys: &[&str]) {
    let (told, mut heard) = diary();
    let mut far = (book.open)(told).await;
    let asked: &[&str] = if book.is_stream { &[] } else { &["will decode"] };
    let mut expected: Vec<&str> = inits.to_vec();
    for text in ["return:one", "send:two"] {
        far.send(framed(book.is_text, text)).await;
        let (_, note) = text.split_once(':').unwrap();
        same(&far.message().await, &framed(book.is_text, note), text);
        expected.extend([refusals, asked, &["decode", "encode"]].concat());
    }
    far.close().await;
    assert_eq!(heard.before("close").await, expected);
    assert_eq!(heard.so_far(), destroys);
}

/// 4 decoders and 4 encoders, annotated and by hand, on the server and on the client.
#[tokio::test]
async fn every_coder_has_its_whole_life() {
    let (inits, destroys) = (["decoder init", "encoder init"], ["decoder destroy", "encoder destroy"]);
    table(every_book().into_iter().map(|book| {
        let name = book.name.clone();
        (name, async move { lives(book, &[], &inits, &destroys).await })
    }))
    .await;
}

// ---- whose turn it is

macro_rules! unwilling {
    ($($name:ident: $input:ty;)*) => {
        $(
            /// Refuses every message.
            #[derive(Default)]
            struct $name(Voice);

            impl Decoder for $name {
                type Input = $input;
                type Value = Note;

                fn init(&mut self, session: &Session) -> Result<()> {
                    self.0.find(session);
                    self.0.tell("unwilling init");
                    Ok(())
                }

                fn will_decode(&self, _: &$input) -> bool {
                    self.0.tell("will not");
                    false
                }

                async fn decode(&mut self, _: $input) -> Result<Note> {
                    Ok(Note("return:by the one that will not".to_owned()))
                }

                fn destroy(&mut self) {
                    self.0.tell("unwilling destroy");
                }
            }
        )*
    };
}

unwilling! {
    UnwillingText: Text;
    UnwillingBytes: Bytes;
}

books! { books_with_two:
    second_of_text TEXT, [UnwillingText, TextDecoder], TextEncoder;
    second_of_bytes BINARY, [UnwillingBytes, BytesDecoder], BytesEncoder;
}

#[tokio::test]
async fn a_decoder_that_will_not_is_passed_over() {
    let inits = ["unwilling init", "decoder init", "encoder init"];
    let destroys = ["decoder destroy", "unwilling destroy", "encoder destroy"];
    table(books_with_two().into_iter().map(|book| {
        let name = book.name.clone();
        (name, async move { lives(book, &["will not"], &inits, &destroys).await })
    }))
    .await;
}

// ---- one for each connection

/// Counts what it decodes.
#[derive(Default)]
struct Counting(u32);

impl Decoder for Counting {
    type Input = Text;
    type Value = Note;

    async fn decode(&mut self, text: Text) -> Result<Note> {
        self.0 += 1;
        Ok(Note(format!("return:{text} {}", self.0)))
    }
}

fn counting() -> Coders {
    Coders::none().decoder::<Counting>().encoder::<TextEncoder>()
}

async fn counts_for_itself(mut one: Far, mut other: Far) {
    for round in 1..=3 {
        for (far, name) in [(&mut one, "one"), (&mut other, "other")] {
            far.text(name).await;
            same(&far.message().await, &Frame::text(format!("{name} {round}")), name);
        }
    }
}

#[tokio::test]
async fn each_connection_has_its_own() {
    let config = ServerEndpointConfig::builder("/notes", || ByHand).coders(counting()).build();
    let app = runtime::test::app().only::<ByHand>().endpoint(config).start().await;
    counts_for_itself(Far::of_app(&app, "/notes").await, Far::of_app(&app, "/notes").await).await;
    let client = runtime::client().coders(counting());
    let (one, _) = Far::of_client(client.clone(), ByHand).await;
    let (other, _) = Far::of_client(client, ByHand).await;
    counts_for_itself(one, other).await;
}

#[client_endpoint(decoders = [Counting])]
struct Counted;

#[handlers]
impl Counted {
    #[on_message]
    fn note(&self, Decoded(note): Decoded<Note>) -> Encoded<Note> {
        Encoded(note)
    }
}

/// The client's own stand behind those of the annotation: its decoder is not asked, its encoder is, as there is no other.
#[tokio::test]
async fn an_annotations_coders_come_before_the_clients() {
    let client = runtime::client().coders(coders_of_the_client());
    let (mut far, _session) = Far::of_client(client, Counted).await;
    far.text("a note").await;
    assert_eq!(far.message().await, Frame::text("return:a note 1"));
}

fn coders_of_the_client() -> Coders {
    Coders::none().decoder::<TextDecoder>().encoder::<TextEncoder>()
}
