//! Group F: an encoder of the user's for a type that has a form of its own replaces that form, in return values and in `send_object`
//! (OR-03, BAS-07), also when nobody waits for it (`post_object`); `send` alone never asks.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::marker::PhantomData;

use endpoint_runtime::EncoderOutput;

use super::*;
use crate::far::same;
use crate::table::table;

type Cell = (String, BoxFuture<'static, ()>);

/// Writes `own` and the value, in the form `O`.
struct Own<T, O>(PhantomData<fn(T) -> O>);

impl<T, O> Default for Own<T, O> {
    fn default() -> Self {
        Own(PhantomData)
    }
}

impl<T: Debug + Send + Sync + 'static, O: Written> Encoder for Own<T, O> {
    type Value = T;
    type Output = O;

    async fn encode(&mut self, value: &T, output: &mut O) -> Result<()> {
        output.put(format!("own {value:?}")).await
    }
}

/// The four forms.
trait Written: EncoderOutput {
    const NAME: &str;
    const IS_TEXT: bool;

    fn put(&mut self, text: String) -> impl Future<Output = Result<()>> + Send;
}

macro_rules! written {
    ($($output:ty: $name:literal, $is_text:literal, |$this:ident, $text:ident| $put:expr;)*) => {
        $(
            impl Written for $output {
                const NAME: &str = $name;
                const IS_TEXT: bool = $is_text;

                async fn put(&mut self, $text: String) -> Result<()> {
                    let $this = self;
                    $put;
                    Ok(())
                }
            }
        )*
    };
}

written! {
    String: "text", true, |this, text| this.push_str(&text);
    Vec<u8>: "bytes", false, |this, text| this.extend(text.into_bytes());
    TextWriter: "text stream", true, |this, text| this.write_all(text.as_bytes()).await?;
    BinaryWriter: "binary stream", false, |this, text| this.write_all(text.as_bytes()).await?;
}

/// Sends a value as the far end asks for it; what it returns is sent too.
async fn give<T: IntoMessage + Send + Sync + 'static>(
    session: &Session,
    how: &str,
    value: T,
) -> Result<Option<T>> {
    match how {
        "return" => return Ok(Some(value)),
        "send_object" => session.send_object(value).await?,
        "post_object" => session.post_object(value).await?,
        _ => session.send(value).await?,
    }
    Ok(None)
}

/// Asks for the value in each way.
async fn replaces(mut far: Far, own: Frame, plain: Frame) {
    for how in ["return", "send_object", "post_object"] {
        far.text(how).await;
        same(&far.message().await, &own, how);
    }
    far.text("send").await;
    same(&far.message().await, &plain, "send");
}

// ---- annotated: a truth, a character and a number

macro_rules! annotated {
    ($($row:ident: $ty:ty, $value:expr, $output:ty;)*) => {
        $(
            mod $row {
                use super::*;

                #[server_endpoint("/own", encoders = [Own<$ty, $output>])]
                pub(super) struct Server;

                #[handlers]
                impl Server {
                    #[on_message]
                    async fn give(&self, how: String, session: &Session) -> Result<Option<$ty>> {
                        give(session, &how, $value).await
                    }
                }

                #[client_endpoint(encoders = [Own<$ty, $output>])]
                pub(super) struct Client;

                #[handlers]
                impl Client {
                    #[on_message]
                    async fn give(&self, how: String, session: &Session) -> Result<Option<$ty>> {
                        give(session, &how, $value).await
                    }
                }
            }
        )*

        fn annotated() -> Vec<Cell> {
            let mut cells: Vec<Cell> = Vec::new();
            $(
                let name = |side| format!("{}, annotated, on the {side}", stringify!($row));
                let own = framed(<$output>::IS_TEXT, &format!("own {:?}", $value));
                let plain = Frame::text($value.to_string());
                let (also_own, also_plain) = (own.clone(), plain.clone());
                cells.push((name("server"), async move {
                    replaces(Far::of_server::<$row::Server>("/own").await, own, plain).await;
                }.boxed()));
                cells.push((name("client"), async move {
                    let (far, _session) = Far::of_client(runtime::client(), $row::Client).await;
                    replaces(far, also_own, also_plain).await;
                }.boxed()));
            )*
            cells
        }
    };
}

annotated! {
    truth_as_text: bool, true, String;
    truth_as_bytes: bool, true, Vec<u8>;
    truth_as_text_stream: bool, false, TextWriter;
    truth_as_binary_stream: bool, false, BinaryWriter;
    character_as_text: char, 'ä', String;
    character_as_bytes: char, 'ä', Vec<u8>;
    character_as_text_stream: char, 'x', TextWriter;
    character_as_binary_stream: char, 'x', BinaryWriter;
    number_as_text: i32, -1, String;
    number_as_bytes: i32, -1, Vec<u8>;
    number_as_text_stream: i32, 7, TextWriter;
    number_as_binary_stream: i32, 7, BinaryWriter;
}

// ---- by hand: every type that has a form of its own

struct Giver<T>(T);

impl<T: IntoMessage + Clone + Send + Sync + 'static> Endpoint for Giver<T> {
    async fn on_open(&mut self, session: &Session) -> Result<()> {
        let (this, value) = (session.clone(), self.0.clone());
        session.add_message_handler(move |how: String| {
            let (session, value) = (this.clone(), value.clone());
            async move { give(&session, &how, value).await }
        })?;
        Ok(())
    }
}

/// A value in one form, on the server and on the client.
fn in_form<T, O>(value: &T, plain: &Frame) -> [Cell; 2]
where
    T: IntoMessage + Debug + Clone + Send + Sync + 'static,
    O: Written,
{
    let name = |side| format!("{value:?}: {} as {}, on the {side}", std::any::type_name::<T>(), O::NAME);
    let coders = || Coders::none().encoder::<Own<T, O>>();
    let own = framed(O::IS_TEXT, &format!("own {value:?}"));
    let given = value.clone();
    let config = ServerEndpointConfig::builder("/own", move || Giver(given.clone())).coders(coders()).build();
    let app = runtime::test::app().only::<Giver<T>>().endpoint(config);
    let client = runtime::client().coders(coders());
    let endpoint = Giver(value.clone());
    let ((own, also_own), (plain, also_plain)) = ((own.clone(), own), (plain.clone(), plain.clone()));
    [
        (name("server"), async move { replaces(Far::of(app, "/own").await, own, plain).await }.boxed()),
        (
            name("client"),
            async move {
                let (far, _session) = Far::of_client(client, endpoint).await;
                replaces(far, also_own, also_plain).await;
            }
            .boxed(),
        ),
    ]
}

fn in_all_forms<T>(value: T, plain: Frame) -> impl Iterator<Item = Cell>
where
    T: IntoMessage + Debug + Clone + Send + Sync + 'static,
{
    let forms = [
        in_form::<T, String>(&value, &plain),
        in_form::<T, Vec<u8>>(&value, &plain),
        in_form::<T, TextWriter>(&value, &plain),
        in_form::<T, BinaryWriter>(&value, &plain),
    ];
    forms.into_iter().flatten()
}

fn primitive<T>(value: T) -> impl Iterator<Item = Cell>
where
    T: IntoMessage + Debug + Display + Clone + Send + Sync + 'static,
{
    let plain = Frame::text(value.to_string());
    in_all_forms(value, plain)
}

#[tokio::test]
async fn an_encoder_for_a_primitive_replaces_its_form() {
    table(annotated()).await;
}

#[tokio::test]
async fn an_encoder_for_any_type_with_a_form_replaces_it() {
    let mut cells: Vec<Cell> = Vec::new();
    cells.extend(primitive(true));
    cells.extend(primitive('x'));
    cells.extend(primitive(i8::MIN));
    cells.extend(primitive(i16::MIN));
    cells.extend(primitive(i32::MIN));
    cells.extend(primitive(i64::MIN));
    cells.extend(primitive(i128::MIN));
    cells.extend(primitive(isize::MIN));
    cells.extend(primitive(u8::MAX));
    cells.extend(primitive(u16::MAX));
    cells.extend(primitive(u32::MAX));
    cells.extend(primitive(u64::MAX));
    cells.extend(primitive(u128::MAX));
    cells.extend(primitive(usize::MAX));
    cells.extend(primitive(1.5f32));
    cells.extend(primitive(-0.1f64));
    cells.extend(primitive(String::from("a string")));
    cells.extend(in_all_forms(Text::from("a text"), Frame::text("a text")));
    cells.extend(in_all_forms(vec![1u8, 2], Frame::binary(vec![1, 2])));
    cells.extend(in_all_forms(Bytes::from_static(b"bytes"), Frame::binary("bytes")));
    table(cells).await;
}
