//! What is wrong with a deployment: [`Problem`], all of them in a [`Report`], and as the error of a start in a [`DeployError`].

use std::fmt;

use super::ServerEndpointConfig;
use crate::endpoint::Place;

/// One thing that keeps the application from being deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    text: String,
    places: Vec<Place>,
}

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Problem { text: text.into(), places: Vec::new() }
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.places.push(place);
        self
    }

    /// Every place in the source that has to do with it.
    pub fn places(&self) -> &[Place] {
        &self.places
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

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
            (problems, _) => list(f, problems),
        }
    }
}

/// The application was not deployed: nothing was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployError {
    problems: Vec<Problem>,
}

impl DeployError {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        DeployError { problems }
    }

    /// All problems.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for DeployError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, &self.problems)
    }
}

impl std::error::Error for DeployError {}

fn list(f: &mut fmt::Formatter<'_>, problems: &[Problem]) -> fmt::Result {
    match problems {
        [problem] => write!(f, "cannot deploy: {problem}"),
        problems => {
            write!(f, "cannot deploy, {} problems:", problems.len())?;
            problems
                .iter()
                .enumerate()
                .try_for_each(|(index, problem)| write!(f, "\n{:>3}. {problem}", index + 1))
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
