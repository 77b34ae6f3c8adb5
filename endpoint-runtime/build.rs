//! Nothing to build: a package with a `links` key must have a build script, and the key is what we want
//! (see `Cargo.toml`).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
