//! The restore plan: what a start does with each part of a checkpoint's state.

use std::fmt;

use telemetra_core::EventTime;

/// The plan of a start from a checkpoint: which parts of its state are kept, converted, dropped or refused,
/// found by comparing the pipeline with the one that wrote the checkpoint. Parts are matched by name.
///
/// [`Pipeline::check_restore`](crate::Pipeline::check_restore) returns it without starting, so a deployment
/// can test a new version against the state of the old one; [`Report::restored`](crate::Report::restored) and
/// the log say what was done. Its [`Display`](fmt::Display) is a list, one part a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestorePlan {
    /// The boundary of the checkpoint, in event time: everything before it has taken effect in the state, and
    /// nothing after.
    pub boundary: EventTime,
    /// The name of the savepoint, if the checkpoint is one.
    pub savepoint: Option<String>,
    /// The treatment of each part: first the refused parts, then the dropped ones, then the others, in the
    /// order of [`RestoreAction`].
    pub steps: Vec<RestoreStep>,
    /// The change by which times that sinks have already can come out otherwise now, so that sinks must not be
    /// ahead of the checkpoint; `None` if there is none.
    pub(crate) moves_times: Option<String>,
    /// The tables whose rows can come out otherwise now.
    pub(crate) changed_tables: Vec<String>,
}

/// The treatment of one part of the state. Its [`Display`](fmt::Display) is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreStep {
    /// The name of the part: an operator, such as `windows device_minute`, or a setting.
    pub part: String,
    /// The treatment of the part.
    pub action: RestoreAction,
    /// The reason, and for a refusal what to do about it. Empty if there is nothing to add.
    pub detail: String,
}

/// The treatment of a part of a checkpoint's state at a start.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RestoreAction {
    /// The state cannot be used, so the pipeline does not start.
    Refused,
    /// No operator of the pipeline has that name any more, so its state is lost. Rows that the operator has
    /// written stay in the sinks.
    Dropped,
    /// The checkpoint has no state of that name, so the operator starts empty, at the boundary of the
    /// checkpoint: it receives no earlier events.
    Starts,
    /// The state is computed anew from other state in the checkpoint.
    Rebuilt,
    /// The state is converted from an earlier version by the migration that the operator gives.
    Migrated,
    /// The state is kept, and a setting of the operator is another one than before.
    Changed,
    /// The state is kept as it was.
    Kept,
}

impl fmt::Display for RestoreAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Dropped => "dropped",
            Self::Starts => "starts empty",
            Self::Rebuilt => "rebuilt",
            Self::Migrated => "migrated",
            Self::Changed => "changed",
            Self::Kept => "kept",
        })
    }
}

impl fmt::Display for RestoreStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.part, self.action)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl fmt::Display for RestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.savepoint {
            Some(name) => write!(f, "from the savepoint `{name}` of {}", self.boundary)?,
            None => write!(f, "from the checkpoint of {}", self.boundary)?,
        }
        self.steps.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}

impl RestorePlan {
    /// Returns whether the pipeline can start with this plan: nothing is refused.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.refusals().next().is_none()
    }

    /// Returns whether all state is kept as it was, so that the start is an ordinary restart.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.steps.iter().all(|step| step.action == RestoreAction::Kept)
    }

    /// Returns the refused parts, which keep the pipeline from starting.
    pub fn refusals(&self) -> impl Iterator<Item = &RestoreStep> {
        self.steps.iter().filter(|step| step.action == RestoreAction::Refused)
    }

    /// The plan for a checkpoint without a definition, which is used with unchanged settings only.
    pub(crate) fn unchanged(boundary: EventTime) -> Self {
        let step = RestoreStep {
            part: "all state".to_owned(),
            action: RestoreAction::Kept,
            detail: "the checkpoint is of a version that compared settings as a whole, and they are the same"
                .to_owned(),
        };
        Self { boundary, savepoint: None, steps: vec![step], moves_times: None, changed_tables: Vec::new() }
    }
}
