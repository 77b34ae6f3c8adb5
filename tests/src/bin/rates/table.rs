//! The table that comes out.

use std::fmt;

use crate::quantile;

/// What is wanted of a figure.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// At most so many times what it is compared with, or at least.
    AtMostTimes(f64),
    AtLeastTimes(f64),
    /// At most so much, or at least.
    AtMost(f64),
    AtLeast(f64),
    /// It is only to be known.
    None,
}

/// A figure, once in each round, and what it is compared with, in the same rounds.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: Vec<f64>,
    pub(crate) raw: Vec<f64>,
    pub(crate) goal: Goal,
}

impl Row {
    fn median(values: &[f64]) -> Option<f64> {
        (!values.is_empty()).then(|| quantile(&mut values.to_vec(), 0.5))
    }

    /// The median of what the rounds say: what disturbs one of them disturbs both of its figures.
    fn ratio(&self) -> Option<f64> {
        let ratios: Vec<f64> = self.ours.iter().zip(&self.raw).map(|(ours, raw)| ours / raw).collect();
        Self::median(&ratios)
    }

    fn holds(&self) -> Option<bool> {
        let (ours, ratio) = (Self::median(&self.ours)?, self.ratio());
        match self.goal {
            Goal::AtMostTimes(most) => ratio.map(|ratio| ratio <= most),
            Goal::AtLeastTimes(least) => ratio.map(|ratio| ratio >= least),
            Goal::AtMost(most) => Some(ours <= most),
            Goal::AtLeast(least) => Some(ours >= least),
            Goal::None => None,
        }
    }
}

/// As many digits as mean something.
fn short(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 1000.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goal = match self.goal {
            Goal::AtMostTimes(most) => format!("<= {most} x"),
            Goal::AtLeastTimes(least) => format!(">= {least} x"),
            Goal::AtMost(most) => format!("<= {most}"),
            Goal::AtLeast(least) => format!(">= {least}"),
            Goal::None => String::new(),
        };
        let verdict = match self.holds() {
            Some(true) => "ok",
            Some(false) => "MISSED",
            None => "",
        };
        let (ours, raw) = (short(Self::median(&self.ours)), short(Self::median(&self.raw)));
        let ratio = short(self.ratio());
        write!(f, "{:<66} {ours:>9} {raw:>9} {ratio:>6} {goal:>10} {verdict}", self.what)
    }
}

pub(crate) const HEAD: &str = "what                                                                    ours       raw  ratio       goal verdict";
