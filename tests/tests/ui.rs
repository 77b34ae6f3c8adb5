//! What the compiler says about mistakes, and what it says nothing about.
//!
//! `ui/*.rs` are mistakes, each named after itself, with the compiler's answer beside it; `ui/pass/*.rs` must compile. See
//! `ui/README.md`.

#[test]
fn mistakes_are_explained() {
    let tests = trybuild::TestCases::new();
    tests.pass("ui/pass/*.rs");
    tests.compile_fail("ui/*.rs");
}
