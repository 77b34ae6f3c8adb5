//! [`TextWriter`] and [`BinaryWriter`]: a message that is sent while it is written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::{SendError, Session};

macro_rules! writers {
    ($($name:ident: $begin:ident, |$bytes:ident| $message:expr;)*) => {
        $(
            /// A message that is sent while it is written.
            #[derive(Debug)]
            pub struct $name {
                session: Session,
                written: Vec<u8>,
            }

            impl Session {
                /// Begins a message that is sent while it is written.
                pub fn $begin(&self) -> $name {
                    $name { session: self.clone(), written: Vec::new() }
                }
            }

            impl $name {
                /// Ends the message.
                ///
                /// # Errors
                /// The session is closing or closed.
                pub async fn finish(self) -> Result<(), SendError> {
                    if self.written.is_empty() {
                        return Ok(());
                    }
                    let $bytes = self.written;
                    self.session.send($message).await
                }
            }

            impl AsyncWrite for $name {
                fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                    self.written.extend_from_slice(bytes);
                    Poll::Ready(Ok(bytes.len()))
                }

                fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                    Poll::Ready(Ok(()))
                }

                fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                    Poll::Ready(Ok(()))
                }
            }
        )*
    };
}

writers! {
    TextWriter: text_writer, |bytes| String::from_utf8_lossy(&bytes).into_owned();
    BinaryWriter: binary_writer, |bytes| bytes;
}
