//! The findings of a world that did not hold.

use std::fmt;

/// What did not hold in the world of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// What was found, one a line.
    pub findings: Vec<String>,
    /// The lives of the process: what the script has for each, how it ended, and what was durable then.
    pub lives: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}:", self.seed)?;
        self.findings.iter().try_for_each(|finding| writeln!(f, "  {finding}"))?;
        writeln!(f, "in these lives:")?;
        self.lives.iter().try_for_each(|life| writeln!(f, "  {life}"))
    }
}

impl std::error::Error for Broken {}
