//! Every form that a return value may have.

#![deny(warnings)]

use std::borrow::Cow;
use std::io;

use endpoint_runtime::prelude::*;
use futures_util::Stream;
use futures_util::stream;

macro_rules! endpoints {
    ($($name:ident $path:literal: [$($asynchronous:ident)?] $ty:ty = $value:expr,)*) => {
        $(
            #[server_endpoint($path)]
            struct $name;

            #[handlers]
            impl $name {
                #[on_message]
                $($asynchronous)? fn text(&self, _text: &str) -> $ty {
                    $value
                }
            }
        )*
    };
}

endpoints! {
    Unit "/unit": [] () = (),
    AsyncUnit "/async-unit": [async] () = (),
    Strings "/string": [] String = String::new(),
    Strs "/str": [] &'static str = "",
    Chars "/char": [] char = 'a',
    Numbers "/number": [async] i64 = 7,
    Texts "/text": [] Text = Text::default(),
    Cows "/cow": [] Cow<'static, str> = "".into(),
    AllBytes "/bytes": [] Bytes = Bytes::new(),
    Vecs "/vec": [] Vec<u8> = Vec::new(),
    Slices "/slice": [] &'static [u8] = &[1],
    Arrays "/array": [] [u8; 2] = [1, 2],
    Jsons "/json": [async] Json<Vec<u8>> = Json(vec![]),
    Messages "/message": [] Message = Message::Text("".into()),
    Options "/option": [] Option<String> = None,
    Results "/result": [] Result<Option<Json<u8>>> = Ok(None),
    IoResults "/io-result": [async] io::Result<()> = Ok(()),
    OtherErrors "/other-error": [] Result<u8, std::fmt::Error> = Ok(1),
}

#[server_endpoint("/borrowed")]
#[derive(Default)]
struct Borrowed {
    said: String,
}

#[handlers]
impl Borrowed {
    #[on_open]
    fn open(&self) -> &str {
        &self.said
    }

    #[on_message]
    async fn text<'a>(&'a mut self, text: &str) -> &'a str {
        self.said.push_str(text);
        &self.said
    }

    #[on_close]
    fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[server_endpoint("/streams")]
struct Streams;

#[handlers]
impl Streams {
    #[on_message]
    fn count(&self, to: u32) -> Replies<impl Stream<Item = u32> + Send + use<>> {
        Replies(stream::iter(1..=to))
    }

    #[on_message]
    async fn parts(&self, bytes: Bytes) -> Result<Replies<impl Stream<Item = Result<Bytes>> + Send + use<>>> {
        Ok(Replies(stream::iter([Ok(bytes)])))
    }

    #[on_message]
    fn named(&self, _pong: Pong) -> Option<Replies<stream::Empty<String>>> {
        None
    }
}

fn main() {}
