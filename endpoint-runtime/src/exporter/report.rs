//! [`Report`]: what a check found.

use std::fmt;

use crate::error::{Problem, list_problems};
use crate::server::ServerEndpointConfig;

/// What [`check`](crate::ServerEndpointExporter::check) found: the endpoints that would be deployed, and every problem.
#[derive(Debug)]
#[must_use]
pub struct Report {
    pub(super) endpoints: Vec<ServerEndpointConfig>,
    pub(super) problems: Vec<Problem>,
}

impl Report {
    /// The endpoints, explicit ones first, then by path and type name.
    pub fn endpoints(&self) -> &[ServerEndpointConfig] {
        &self.endpoints
    }

    /// All problems. If there is none the application can be deployed.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.problems.as_slice(), self.endpoints.len()) {
            ([], 1) => f.write_str("1 endpoint, no problems"),
            ([], count) => write!(f, "{count} endpoints, no problems"),
            (problems, _) => list_problems(f, problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_sentence() {
        let said = |problems: &[&str]| {
            let problems = problems.iter().copied().map(Problem::new).collect();
            Report { endpoints: Vec::new(), problems }.to_string()
        };
        assert_eq!(said(&[]), "0 endpoints, no problems");
        assert_eq!(said(&["x is wrong"]), "cannot deploy: x is wrong");
        assert_eq!(said(&["x", "y"]), "cannot deploy, 2 problems:\n  1. x\n  2. y");
    }
}
