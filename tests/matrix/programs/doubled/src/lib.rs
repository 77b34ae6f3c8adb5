//! The library half of a package that includes its endpoint twice, as packages with `main.rs` and `lib.rs` do by mistake.

mod endpoint;
