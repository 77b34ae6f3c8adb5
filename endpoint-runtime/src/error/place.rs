//! [`Place`]: where in the source the cause of a problem stands.

use std::fmt;

/// A place in the source, for people who look for the cause of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    file: &'static str,
    line: u32,
}

impl Place {
    /// The place of `file!()` and `line!()`.
    pub const fn new(file: &'static str, line: u32) -> Self {
        Place { file, line }
    }

    /// The place of the caller.
    #[track_caller]
    pub(crate) fn caller() -> Self {
        let location = std::panic::Location::caller();
        Place { file: location.file(), line: location.line() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
