//! The error of a simulation: the checks that failed.

use std::fmt;

/// The failed checks of one seed. Its [`Display`](std::fmt::Display) lists them, with the runs of the
/// process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The seed; running it again repeats the script.
    pub seed: u64,
    /// The checks that failed, one a line.
    pub findings: Vec<String>,
    /// The runs of the process: what the script plans for each, how it ended, and what was durable then.
    pub runs: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}:", self.seed)?;
        self.findings.iter().try_for_each(|finding| writeln!(f, "  {finding}"))?;
        writeln!(f, "in these runs:")?;
        self.runs.iter().try_for_each(|run| writeln!(f, "  {run}"))
    }
}

impl std::error::Error for Violation {}
