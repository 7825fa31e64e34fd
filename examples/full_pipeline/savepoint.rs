//! Savepoints: what a run starts from, and what is done with the store of checkpoints instead of a run.

use anyhow::{Context, Result};
use telemetra::core::checkpoint::{CheckpointStore, Directory};
use telemetra::ops::Savepoints;
use telemetra::prelude::*;

use crate::servers;
use crate::settings::{Settings, Store};
use crate::standby::TakeOver;

/// The start of a run, and what is done instead of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    pub(crate) dry_run: bool,
    pub(crate) savepoint: Option<String>,
    pub(crate) from_savepoint: Option<String>,
    /// The store of the savepoint, if it is another one than that of checkpoints.
    pub(crate) savepoint_in: Option<Store>,
    /// When the run takes over from another process, if it begins as its standby.
    pub(crate) standby: Option<TakeOver>,
    pub(crate) lists: bool,
    pub(crate) remove: Option<String>,
}

/// Does what is asked of savepoints, and says it; `None` if a run is asked for.
pub(crate) fn manage(settings: &Settings) -> Result<Option<String>> {
    let Start { savepoint, lists, remove, .. } = &settings.start;
    if savepoint.is_none() && remove.is_none() && !lists {
        return Ok(None);
    }
    let kept = store(settings, settings.store.as_ref())?;
    let mut savepoints = Savepoints::new(kept.context("no checkpoints are kept; give --checkpoint")?);
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

/// The store at a place; `None` if that is none.
pub(crate) fn store(settings: &Settings, place: Option<&Store>) -> Result<Option<Box<dyn CheckpointStore>>> {
    Ok(match place {
        Some(Store::Folder(folder)) => Some(Box::new(Directory::new(folder))),
        Some(Store::Postgres(name)) => servers::store(settings, name.as_deref())?,
        Some(Store::Objects(url)) => Some(servers::object_store(url)?),
        Some(Store::Off) | None => None,
    })
}

/// Checks that what the run starts from fits together.
pub(crate) fn check(settings: &Settings) -> Result<(), ConfigError> {
    let Start { from_savepoint, savepoint_in, standby, .. } = &settings.start;
    if savepoint_in.is_some() && from_savepoint.is_none() {
        let detail = "no savepoint is named that is to be started from".to_owned();
        return Err(ConfigError::new("savepoint-in", detail, "give --from-savepoint, or leave it out"));
    }
    if matches!(savepoint_in, Some(Store::Postgres(_))) && settings.postgres.host.is_none() {
        let detail = "there is no Postgres for the savepoint to be in";
        return Err(ConfigError::new("savepoint-in", detail, "give POSTGRES_HOST, or a folder"));
    }
    let is_same = |other: &Store| {
        let name = |store: &Store| match store {
            Store::Postgres(name) => Store::Postgres(Some(name.as_ref().unwrap_or(&settings.name).clone())),
            other => other.clone(),
        };
        settings.store.as_ref().map(name) == Some(name(other))
    };
    let hint = "give another --checkpoint, and the other process's as --savepoint-in with --from-savepoint";
    if standby.is_some() && !settings.has_checkpoints() {
        return Err(ConfigError::new("standby", "no checkpoints are kept", hint));
    }
    if standby.is_some() && savepoint_in.as_ref().is_none_or(is_same) {
        let detail = "the checkpoints of the process that is to be taken over are in a store of its own";
        return Err(ConfigError::new("standby", detail, hint));
    }
    Ok(())
}
