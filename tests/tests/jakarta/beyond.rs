//! What the kit leaves untested: threads, order, error routing, use after close, limits; each on the server and on the client.

mod closed;
mod errors;
mod life;
mod pair;
