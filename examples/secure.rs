//! Tokens over TLS: `cargo run --example secure`, open the printed address, and paint.
//!
//! Nothing need be installed: the certificate is made at the start, and the browser is to be told once that it may go on. `ann` may look at the
//! canvas, `bo` may paint on it too. Who signs in gets a token that holds half a minute; the page opens the canvas with it, and brings a
//! new one before that. Signing out closes one's canvases in all windows. Browsers speak HTTP/2 here, WebSockets included, by themselves.
//!
//! The desk, where tokens come from, is in `secure/desk.rs`, and the page with its HTTP in `secure/page.rs`.

#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

use endpoint_runtime as runtime;
use rcgen::CertifiedKey;
use runtime::prelude::*;
use runtime::{BearerTokens, Forbidden, Tls};
use serde::Serialize;

use self::desk::{Account, ByDesk, Desk};

#[path = "secure/desk.rs"]
mod desk;
#[path = "secure/page.rs"]
mod page;

/// Pixels of a side.
const SIDE: usize = 24;

/// The canvas: a color for each pixel, row by row.
struct Canvas(Mutex<[u8; SIDE * SIDE]>);

impl Canvas {
    fn pixels(&self) -> std::sync::MutexGuard<'_, [u8; SIDE * SIDE]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event {
    /// Who one is, and whether one may paint.
    Welcome {
        name: &'static str,
        paints: bool,
    },
    /// The new token was accepted.
    Renewed,
    Error {
        text: String,
    },
}

/// Painting: the whole canvas comes first, then each pixel that anybody paints, as `[x, y, color]`.
#[server_endpoint("/canvas", subprotocols = ["canvas.v1"], require = "viewer", max_message_size = 1024)]
struct Painting {
    #[inject]
    canvas: Arc<Canvas>,
}

#[handlers]
impl Painting {
    #[on_open]
    async fn open(&self, session: &Session, who: Principal<&'static Account>) -> Result<Json<Event>> {
        let pixels = self.canvas.pixels().to_vec();
        session.send(pixels).await?;
        Ok(Json(Event::Welcome { name: who.name, paints: session.has_role("painter") }))
    }

    /// Only for painters: to others it is a [`Forbidden`].
    #[on_message(require = "painter")]
    async fn paint(&self, pixel: &[u8], sessions: Sessions) -> Result<()> {
        let &[x, y, color] = pixel else { return Err(Error::msg("a pixel is x, y and a color")) };
        let (x, y) = (usize::from(x), usize::from(y));
        if x >= SIDE || y >= SIDE || color > 7 {
            return Err(Error::msg("that is beyond the canvas"));
        }
        self.canvas.pixels()[y * SIDE + x] = color;
        sessions.endpoint::<Painting>().send(Bytes::copy_from_slice(pixel)).await;
        Ok(())
    }

    /// Everybody may stay longer: a text is the next token.
    #[on_message]
    async fn renew(&self, token: &str, session: &Session) -> Result<Json<Event>> {
        session.authorize(token).await?;
        Ok(Json(Event::Renewed))
    }

    #[on_error]
    fn forbidden(&self, error: &Forbidden) -> Json<Event> {
        Json(Event::Error { text: error.to_string() })
    }

    #[on_error]
    fn failed(&self, error: &Error) -> Json<Event> {
        Json(Event::Error { text: error.to_string() })
    }
}

/// A certificate for this machine that nobody has signed but itself.
fn certificate() -> Result<Tls> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names)?;
    Ok(Tls::pem(cert.pem(), signing_key.serialize_pem()))
}

#[tokio::main]
async fn main() -> Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8443".into());
    let desk = Arc::new(Desk::default());
    runtime::export_all()
        .bind(format!("127.0.0.1:{port}"))
        .tls(certificate()?)
        .bearer(BearerTokens::new(ByDesk))
        .provide_shared(Arc::clone(&desk))
        .provide(Canvas(Mutex::new([0; SIDE * SIDE])))
        .fallback(page::Page(desk))
        .on_ready(|server| println!("Open https://{}/ and let the browser go on", server.local_addr()))
        .serve()
        .await
}
