//! `maxMessageSize` of groups G and H: a method that takes five bytes, and one that says nothing (MX-01, MX-03, MX-05).

use super::*;

/// A message that fits, and one that does not.
type Limit = (Vec<Frame>, Vec<Frame>);

/// The first is answered; the second closes the session with 1009.
async fn holds(mut far: Far, (fits, too_large): Limit) {
    for frame in fits {
        far.send(frame).await;
    }
    same(&far.message().await, &Frame::text("taken"), "what fits");
    for frame in too_large {
        far.send(frame).await;
    }
    assert_eq!(far.close_code().await, 1009, "what is too large");
}

fn holds_on_server<E: 'static>(name: String, limit: Limit) -> Cell {
    (name, async move { holds(Far::of_server::<E>("/limited").await, limit).await }.boxed())
}

fn holds_on_client<V: 'static>(
    name: String,
    endpoint: impl runtime::ClientEndpoint<V>,
    limit: Limit,
) -> Cell {
    let run = async move {
        let (far, _session) = Far::of_client(runtime::client(), endpoint).await;
        holds(far, limit).await;
    };
    (name, run.boxed())
}

macro_rules! limited {
    ($($row:ident: [$($message:tt)+] $(by $decoder:ident)?, ($($max_size:tt)*), $limits:expr;)*) => {
        $(
            mod $row {
                use super::*;

                #[server_endpoint("/limited" $(, decoders = [$decoder])?)]
                pub(super) struct Server;

                #[handlers]
                impl Server {
                    #[on_message($($max_size)*)]
                    fn take(&self, _value: $($message)+) -> &'static str {
                        "taken"
                    }
                }

                #[client_endpoint $((decoders = [$decoder]))?]
                pub(super) struct Client;

                #[handlers]
                impl Client {
                    #[on_message($($max_size)*)]
                    fn take(&self, _value: $($message)+) -> &'static str {
                        "taken"
                    }
                }
            }
        )*

        fn cells() -> Vec<Cell> {
            let mut cells = Vec::new();
            $(
                for (index, limit) in $limits.into_iter().enumerate() {
                    let name = |side| format!("{} {} on the {side}", stringify!($row), index + 1);
                    cells.push(holds_on_server::<$row::Server>(name("server"), limit.clone()));
                    cells.push(holds_on_client(name("client"), $row::Client, limit));
                }
            )*
            cells
        }
    };
}

/// Texts of five bytes and six: bytes count, not characters; also in two frames, neither of which is too large.
fn five_of_text() -> Vec<Limit> {
    vec![
        (vec![Frame::text("12345")], vec![Frame::text("123456")]),
        (vec![Frame::text("ääa")], vec![Frame::text("äää")]),
        (frames(true, &[b"123", b"45"]), frames(true, &[b"123", b"456"])),
        (vec![Frame::text("")], vec![Frame::text("x".repeat(100_000))]),
    ]
}

fn five_of_bytes() -> Vec<Limit> {
    vec![
        (vec![Frame::binary("12345")], vec![Frame::binary("123456")]),
        (frames(false, &[b"123", b"45"]), frames(false, &[b"123", b"456"])),
        (vec![Frame::binary("")], vec![Frame::binary(vec![0; 100_000])]),
    ]
}

fn five_digits() -> Vec<Limit> {
    vec![(vec![Frame::text("12345")], vec![Frame::text("123456")])]
}

/// So many bytes, and one more.
fn texts_up_to(bytes: usize) -> Vec<Limit> {
    vec![(vec![Frame::text("x".repeat(bytes))], vec![Frame::text("x".repeat(bytes + 1))])]
}

fn bytes_up_to(bytes: usize) -> Vec<Limit> {
    vec![(vec![Frame::binary(vec![7; bytes])], vec![Frame::binary(vec![7; bytes + 1])])]
}

/// The limit of the endpoint, where nothing else is said.
const ENDPOINT: usize = 64 * 1024;

limited! {
    string: [String], (max_size = 5), five_of_text();
    borrowed_str: [&str], (max_size = 5), five_of_text();
    shared_text: [Text], (max_size = 5), five_of_text();
    number: [i64], (max_size = 5), five_digits();
    json: [Json<i64>], (max_size = 5), five_digits();
    decoded_from_text: [Decoded<Note>] by TextDecoder, (max_size = 5), five_of_text();
    bytes: [Bytes], (max_size = 5), five_of_bytes();
    vector: [Vec<u8>], (max_size = 5), five_of_bytes();
    borrowed_bytes: [&[u8]], (max_size = 5), five_of_bytes();
    decoded_from_bytes: [Decoded<Note>] by BytesDecoder, (max_size = 5), five_of_bytes();
    message: [Message], (max_size = 5), [five_of_text(), five_of_bytes()].concat();
    larger_text: [String], (max_size = 100_000), texts_up_to(100_000);
    larger_bytes: [Bytes], (max_size = 100_000), bytes_up_to(100_000);
    unsaid_text: [String], (), texts_up_to(ENDPOINT);
    unsaid_bytes: [Bytes], (), bytes_up_to(ENDPOINT);
    unsaid_decoded: [Decoded<Note>] by TextDecoder, (), texts_up_to(ENDPOINT);
}

#[tokio::test]
async fn a_method_takes_no_more_than_it_says() {
    table(cells()).await;
}
