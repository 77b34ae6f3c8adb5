//! Components by annotation: every form, everything that one may ask for, and what becomes of the roles of a type.
//!
//! What an annotation registers is part of every application of this program: each test starts one of its own, with a journal in which
//! the components write, and asks it.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // In a test it is an assertion.

mod forms;
mod found;
mod problems;
mod roles;
mod settings;
mod support;
mod ways;
