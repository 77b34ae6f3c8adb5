//! All that is wrong with the settings, in one error.

use std::fmt;

/// The settings cannot be used. Says all that is wrong, one line for each, with its place and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    problems: Vec<String>,
}

impl SettingsError {
    pub(super) fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    /// One line for each problem: first what was not understood, in the file and then in the environment;
    /// then the values with which no server could work.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("1 problem in the settings:")?,
            count => write!(f, "{count} problems in the settings:")?,
        }
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for SettingsError {}
