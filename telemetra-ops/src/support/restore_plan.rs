//! The restore plan: what a start does with each part of a checkpoint's state.

use std::fmt;

use telemetra_core::EventTime;

/// What a start from a checkpoint does with each part of its state, by comparison of the pipeline with the one that
/// wrote the checkpoint. [`Pipeline::check_restore`](crate::Pipeline::check_restore) returns it without starting;
/// [`Report::restored`](crate::Report::restored) and the log say what was done. Its [`Display`](fmt::Display) is a
/// list, one part a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestorePlan {
    /// The checkpoint: everything before this time has taken effect in it.
    pub boundary: EventTime,
    /// The savepoint, if the checkpoint is one.
    pub savepoint: Option<String>,
    /// What happens to each part: first what is refused, then what is lost, then the rest.
    pub steps: Vec<RestoreStep>,
    /// Whether times that sinks have already can come out otherwise now, so that sinks must not be ahead of the checkpoint.
    pub(crate) moves_times: Option<String>,
    /// The tables whose rows can come out otherwise now.
    pub(crate) changed_tables: Vec<String>,
}

/// What happens to one part of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreStep {
    /// The part: an operator, as `windows device_minute`, or a setting.
    pub part: String,
    /// What happens to it.
    pub action: RestoreAction,
    /// More about it; for a refusal the cure. Empty if there is nothing to say.
    pub detail: String,
}

/// What a start does with a part of a checkpoint's state.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RestoreAction {
    /// It cannot be used, so the pipeline does not start.
    Refused,
    /// No operator has that name any more: the state is lost. Rows that it has made stay in the sinks.
    Dropped,
    /// There is no state: it starts empty, from the checkpoint on.
    Starts,
    /// It is made anew from other state in the checkpoint.
    Rebuilt,
    /// It is turned from the version of the state that was found into the present one.
    Migrated,
    /// It goes on with another setting.
    Changed,
    /// It goes on as it was.
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
    /// Whether the pipeline can start so.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.refusals().next().is_none()
    }

    /// Whether all state goes on as it was.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.steps.iter().all(|step| step.action == RestoreAction::Kept)
    }

    /// What keeps the pipeline from starting.
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
