//! Restoring: what a pipeline starts from, compared with what it is, before anything is opened or written.

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{EventTime, Events};

use crate::checkpoint::definition::Definition;
use crate::checkpoint::floors::RestoredFloors;
use crate::checkpoint::restored::{FoundCheckpoint, RestoredCheckpoint};
use crate::checkpoint::savepoint::boundary_of;
use crate::pipeline::builder::{Checkpoints, Parts, Pipeline, SavepointStart};
use crate::pipeline::checks::Checked;
use crate::pipeline::plan::LastPlan;
use crate::support::failure::{PipelineError, RestoreError};
use crate::support::restore_plan::{RestoreAction, RestorePlan};
use crate::support::retry::RetryDeadline;

/// The state that a pipeline starts from.
#[derive(Default)]
pub(super) struct Restored {
    pub(super) checkpoint: Option<RestoredCheckpoint>,
    pub(super) floors: Option<RestoredFloors>,
    pub(super) definition: Definition,
    pub(super) plan: Option<RestorePlan>,
    /// The boundary of the savepoint that the pipeline goes back to, if it does: later checkpoints are of a run that is left.
    pub(super) goes_back: Option<EventTime>,
}

impl<E: Events, L: LastPlan<E>> Pipeline<E, L> {
    /// Compares this pipeline with the newest checkpoint, or with the [savepoint](Self::from_savepoint), and
    /// returns what [`start`](Self::start) would do with each part of its state. Nothing is started: no store
    /// is claimed, no source or sink is opened, and nothing is written. So a deployment can test a new
    /// version while the old one runs on the same store.
    ///
    /// `None` if there is no checkpoint, or no store. A plan with [refusals](RestorePlan::refusals) means
    /// that `start` would return an error. The graph is built once for this, so closures that build operators
    /// are called.
    ///
    /// # Errors
    ///
    /// [`PipelineError::Config`] if a setting cannot work, and [`PipelineError::Restore`] if the store cannot
    /// be read within the [startup timeout](Self::startup_timeout), the checkpoint is damaged, or there is no
    /// such savepoint.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, site: u32, time: telemetra_core::EventTime, celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use telemetra_core::checkpoint::Directory;
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::{Drain, Pipeline, RestoreAction, minutes, tumbling};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let pipeline = |table| {
    ///     let lines = ["{\"device\": \"d1\", \"site\": 4, \"time\": \"2026-01-01T00:00:00Z\", \"celsius\": 20.5}"; 2];
    ///     let source = Memory::default().partition("readings", lines);
    ///     Pipeline::<Reading>::new()
    ///         .source(source, SerdeJson::new())
    ///         .checkpoints(Directory::new(folder.path()), std::time::Duration::from_secs(60))
    ///         .group(table, tumbling(minutes(1)), |a| a.count("readings"))
    /// };
    /// assert_eq!(pipeline("before").check_restore()?, None);
    /// pipeline("before").start()?.wait()?;
    ///
    /// let plan = pipeline("after").check_restore()?.expect("there is a checkpoint");
    /// assert!(plan.is_possible() && !plan.is_unchanged());
    /// let dropped = plan.steps.iter().filter(|step| step.action == RestoreAction::Dropped);
    /// assert!(dropped.map(|step| &*step.part).any(|part| part == "windows before"));
    /// println!("{plan}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_restore(self) -> Result<Option<RestorePlan>, PipelineError> {
        let mut parts = self.finish_group().parts;
        let checked = parts.check()?;
        let deadline = RetryDeadline::new(parts.startup_timeout, &parts.failure.clone());
        let Some(found) = parts.find(&deadline)? else { return Ok(None) };
        let description = parts.describe(&checked, Some(&found))?;
        Ok(Some(parts.plan_restore(&found, &description)?))
    }
}

impl<E: Events> Parts<E> {
    /// Claims the store, and reads the checkpoint that the pipeline starts from, if it fits.
    pub(super) fn restore(
        &mut self,
        checked: &Checked,
        (process, processes): (usize, usize),
        deadline: &RetryDeadline,
    ) -> Result<Restored, PipelineError> {
        if self.checkpoints.is_none() {
            return Ok(Restored::default());
        }
        self.with_store(|store| {
            let claim = || store.claim(process, processes);
            deadline.wait("claiming the checkpoint store", claim).map_err(RestoreError::Store)
        })?;
        let found = self.find(deadline)?;
        let description = self.describe(checked, found.as_ref())?;
        let plan = found.as_ref().map(|found| self.plan_restore(found, &description)).transpose()?;
        if let Some(plan) = plan.as_ref().filter(|plan| !plan.is_possible()) {
            return Err(RestoreError::Refused(Box::new(plan.clone())).into());
        }
        let goes_back = found.as_ref().filter(|found| found.savepoint.is_some());
        let goes_back = goes_back.map(|found| found.manifest.boundary);
        let settings = [self.floor_settings(checked.pane), self.fingerprint()];
        let defects = self.defects;
        let mut other = self.savepoint.as_mut().and_then(|start| start.store.take());
        let (checkpoint, floors) = self.with_store(|store| {
            let Some(found) = found else {
                return Ok((None, RestoredFloors::read(store, &settings, None, deadline)?));
            };
            if found.savepoint.is_some() {
                let restored = match &mut other {
                    Some(other) => found.load(&mut **other, deadline)?,
                    None => found.load(store, deadline)?,
                };
                // The log of floors is of what came after a checkpoint that is newer.
                return Ok((Some(restored), RestoredFloors::default()));
            }
            let mut restored = Some(found.load(store, deadline)?);
            if let Some(restored) = restored.as_mut().filter(|_| defects.forgets_journal) {
                restored.forget_journal();
            }
            let left = restored.as_ref().and_then(RestoredCheckpoint::ended);
            let floors = RestoredFloors::read(store, &settings, left, deadline)?;
            Ok((restored, if defects.forgets_floors { RestoredFloors::default() } else { floors }))
        })?;
        Ok(Restored { checkpoint, floors: Some(floors), definition: description.definition, plan, goes_back })
    }

    /// Finds the checkpoint that the pipeline starts from.
    fn find(&mut self, deadline: &RetryDeadline) -> Result<Option<FoundCheckpoint>, PipelineError> {
        if self.checkpoints.is_none() {
            return Ok(None);
        }
        let newest = self.with_store(|store| FoundCheckpoint::newest(store, deadline))?;
        let Some(SavepointStart { name, store: other }) = &mut self.savepoint else { return Ok(newest) };
        let goes_on = |found: &FoundCheckpoint| {
            found.definition.as_ref().is_some_and(|was| was.savepoint.as_ref() == Some(name))
        };
        if newest.as_ref().is_some_and(goes_on) {
            return Ok(newest);
        }
        let name = name.clone();
        let found = match other {
            Some(other) => FoundCheckpoint::savepoint(&mut **other, &name, deadline)?,
            None => self.with_store(|store| FoundCheckpoint::savepoint(store, &name, deadline))?,
        };
        Ok(Some(found))
    }

    /// Works with the store, which there must be.
    fn with_store<T>(
        &mut self,
        work: impl FnOnce(&mut dyn CheckpointStore) -> Result<T, RestoreError>,
    ) -> Result<T, PipelineError> {
        match &mut self.checkpoints {
            Some(Checkpoints { store, .. }) => Ok(work(&mut **store)?),
            None => Err(PipelineError::Worker("there is no checkpoint store".to_owned())),
        }
    }
}

/// Removes all of the checkpoints after a boundary: they are of a run that is left.
pub(super) fn forget_after(
    store: &mut dyn CheckpointStore,
    boundary: EventTime,
    deadline: &RetryDeadline,
) -> Result<(), RestoreError> {
    let mut names = deadline.wait("listing the checkpoints", || store.list())?;
    // Manifests first: what is left of one that was removed half is not taken for a checkpoint.
    names.sort_by_key(|name| !name.ends_with("/complete"));
    for name in names.into_iter().filter(|name| boundary_of(name).is_some_and(|of| of >= boundary)) {
        deadline.wait("removing newer checkpoints", || store.remove(&name))?;
    }
    Ok(())
}

/// Logs what is done with the state of the checkpoint, where something is changed.
pub(super) fn report(plan: &RestorePlan) {
    for step in &plan.steps {
        match step.action {
            RestoreAction::Kept => {}
            RestoreAction::Dropped => tracing::warn!(boundary = %plan.boundary, "{step}"),
            _ => tracing::info!(boundary = %plan.boundary, "{step}"),
        }
    }
}
