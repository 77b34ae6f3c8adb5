//! Groups G and H, messages in parts: `Fragment<Text>` and `Fragment<Bytes>` beside every parameter (OM-04, OM-09, OR-08).

use super::*;

macro_rules! parts {
    ($($row:ident: $data:ty, $samples:expr;)*) => {
        $(
            mod $row {
                use super::*;

                /// Keeps what comes until the message is whole.
                #[server_endpoint("/parts")]
                pub(super) struct Plain {
                    whole: Vec<u8>,
                }

                #[handlers]
                impl Plain {
                    #[on_message]
                    fn part(&mut self, part: Fragment<$data>) -> Option<Vec<u8>> {
                        self.whole.extend_from_slice(part.data.as_ref());
                        part.last.then(|| std::mem::take(&mut self.whole))
                    }
                }

                #[server_endpoint("/parts")]
                pub(super) struct WithSession;

                #[handlers]
                impl WithSession {
                    #[on_message]
                    async fn part(session: &Session, part: Fragment<$data>) -> Result<()> {
                        Ok(session.send_fragment(part).await?)
                    }
                }

                #[server_endpoint("/parts/{place}")]
                pub(super) struct WithPath;

                #[handlers]
                impl WithPath {
                    #[on_message]
                    fn part(&self, #[path] place: String, part: Fragment<$data>) -> Result<Fragment<$data>> {
                        is_here(&place)?;
                        Ok(part)
                    }
                }

                #[server_endpoint("/parts/{place}")]
                pub(super) struct WithBoth;

                #[handlers]
                impl WithBoth {
                    #[on_message]
                    async fn part(
                        &mut self,
                        part: Fragment<$data>,
                        session: Session,
                        #[path] place: String,
                    ) -> Result<()> {
                        is_here(&place)?;
                        Ok(session.send_fragment(part).await?)
                    }
                }

                #[client_endpoint]
                pub(super) struct ClientPlain;

                #[handlers]
                impl ClientPlain {
                    #[on_message]
                    fn part(&self, part: Fragment<$data>) -> Fragment<$data> {
                        part
                    }
                }

                #[client_endpoint]
                pub(super) struct ClientWithSession;

                #[handlers]
                impl ClientWithSession {
                    #[on_message]
                    async fn part(&mut self, session: &Session, part: Fragment<$data>) -> Result<()> {
                        Ok(session.send_fragment(part).await?)
                    }
                }
            }
        )*

        fn server_cells() -> Vec<Cell> {
            vec![$(
                on_server::<$row::Plain>(concat!(stringify!($row), " alone"), "/parts", as_bytes($samples)),
                on_server::<$row::WithSession>(concat!(stringify!($row), " + session"), "/parts", $samples),
                on_server::<$row::WithPath>(concat!(stringify!($row), " + path"), "/parts/blue", $samples),
                on_server::<$row::WithBoth>(concat!(stringify!($row), " + session + path"), "/parts/blue", $samples),
            )*]
        }

        fn client_cells() -> Vec<Cell> {
            vec![$(
                on_client(concat!(stringify!($row), " alone"), $row::ClientPlain, $samples),
                on_client(concat!(stringify!($row), " + session"), $row::ClientWithSession, $samples),
            )*]
        }
    };
}

/// The cut goes through the `ö`; the large one is larger than any whole message.
fn text_parts() -> Samples {
    let cut = frames(true, &[b"Gr\xc3", b"\xb6\xc3\x9fe", b"", b" in parts"]);
    endless(
        [any_text(), vec![(cut, Frame::text("Größe in parts"))]].concat(),
        Frame::text("x".repeat(200_000)),
    )
}

/// What is kept comes back as bytes.
fn as_bytes(samples: Samples) -> Samples {
    samples.into_iter().map(|(sent, back)| (sent, Frame::Binary(back.into_data()))).collect()
}

parts! {
    text: Text, text_parts();
    bytes: Bytes, endless(any_bytes(), Frame::binary(vec![7; 200_000]));
}

#[tokio::test]
async fn a_server_takes_parts_beside_every_parameter() {
    table(server_cells()).await;
}

#[tokio::test]
async fn a_client_takes_parts_beside_every_parameter() {
    table(client_cells()).await;
}
