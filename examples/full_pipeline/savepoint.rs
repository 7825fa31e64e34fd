//! Savepoints: what a run starts from, and what is done with the store of checkpoints instead of a run.

use anyhow::{Context, Result};
use telemetra::core::checkpoint::{CheckpointStore, Directory};
use telemetra::ops::Savepoints;

use crate::servers;
use crate::settings::{Settings, Store};

/// What a run starts from, and what is done instead of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    pub(crate) dry_run: bool,
    pub(crate) savepoint: Option<String>,
    pub(crate) from_savepoint: Option<String>,
    pub(crate) lists: bool,
    pub(crate) remove: Option<String>,
}

/// Does what is asked of savepoints, and says it; `None` if a run is asked for.
pub(crate) fn manage(settings: &Settings) -> Result<Option<String>> {
    let Start { savepoint, lists, remove, .. } = &settings.start;
    if savepoint.is_none() && remove.is_none() && !lists {
        return Ok(None);
    }
    let mut savepoints = Savepoints::new(store(settings)?);
    let mut said = Vec::new();
    if let Some(name) = remove {
        savepoints.remove(name).context("could not remove the savepoint")?;
        said.push(format!("removed the savepoint {name}"));
    }
    if let Some(name) = savepoint {
        let taken = savepoints.take(name).context("could not take the savepoint")?;
        let taken = taken.context("there is no checkpoint yet to take a savepoint of")?;
        said.push(format!("savepoint {} of {}", taken.name, taken.boundary));
    }
    if *lists {
        let listed = savepoints.list().context("could not list the savepoints")?;
        said.extend(listed.iter().map(|one| format!("{} {}", one.name, one.boundary)));
    }
    Ok(Some(said.join("\n")))
}

/// The store of checkpoints.
fn store(settings: &Settings) -> Result<Box<dyn CheckpointStore>> {
    let store = match &settings.store {
        Some(Store::Folder(folder)) => Some(Box::new(Directory::new(folder)) as _),
        Some(Store::Postgres) => servers::store(settings)?,
        Some(Store::Off) | None => None,
    };
    store.context("no checkpoints are kept; give --checkpoint")
}
