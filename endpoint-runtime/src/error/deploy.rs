//! What is wrong with a deployment: [`Problem`], and all of them as the error of a start in a [`DeployError`].

use std::fmt;

use super::Place;

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
        list_problems(f, &self.problems)
    }
}

impl std::error::Error for DeployError {}

/// Writes them down, for people.
pub(crate) fn list_problems(f: &mut fmt::Formatter<'_>, problems: &[Problem]) -> fmt::Result {
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
