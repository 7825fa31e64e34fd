//! The status of the pipeline in this process.

use anyhow::{Result, anyhow};

use super::Embedded;
use crate::server::operations::Operations;

impl Embedded {
    pub(super) async fn operate(&self) -> Result<Operations> {
        self.status().map(Operations::of).ok_or_else(|| anyhow!("the pipeline was stopped"))
    }
}
