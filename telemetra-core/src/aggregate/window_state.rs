//! The contract between the operator of windows and the windows of one key, sliding or sessions.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::Accumulator;
use crate::aggregate::panes::{StateSize, Summary};
use crate::data::Data;
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// The windows of one key: arithmetic that an operator drives from boundary to boundary.
pub trait WindowState: Default + 'static {
    /// The settings.
    type Rules: Copy + 'static;
    /// The aggregate of a pane.
    type Partial: Accumulator;
    /// The finished aggregate of a window.
    type Output: Data;
    /// The part of a checkpoint that one key takes.
    type State: Serialize + DeserializeOwned + 'static;

    /// The panes, between which windows are closed.
    fn panes(rules: &Self::Rules) -> WindowSpec;

    /// Advances the key to `boundary`: merges the partials that took effect just before it, with the starts of their panes,
    /// revises the windows that this changed, closes those that end, and retires those beyond the horizon. `emit` gets each
    /// change of the collection of summaries.
    fn advance(
        &mut self,
        rules: &Self::Rules,
        boundary: EventTime,
        partials: &mut Vec<(EventTime, Self::Partial)>,
        emit: impl FnMut(Summary<Self::Output>, isize),
    );

    /// The boundary at which this key must be advanced next if nothing arrives; `None` if nothing is left of it.
    fn wake(&self, rules: &Self::Rules, boundary: EventTime) -> Option<EventTime>;

    /// Whether a window has something in it and has not ended at `boundary`.
    fn is_open(&self, rules: &Self::Rules, boundary: EventTime) -> bool;

    /// The live summaries, oldest first.
    fn summaries(&self, rules: &Self::Rules) -> impl Iterator<Item = Summary<Self::Output>> + '_;

    /// What changed after `since` was reached; all of it from [`EventTime::MIN`]. `None` if nothing did.
    fn state_since(&self, since: EventTime) -> Option<Self::State>;

    /// Takes in a part of a checkpoint taken at `boundary`. Parts come oldest first, and the content of a later part replaces
    /// that of an earlier one.
    fn restore(&mut self, state: Self::State, boundary: EventTime);

    /// Drops what had gone by the time `boundary` was reached, which a checkpoint made of several parts still holds, and marks
    /// what had been closed by then.
    fn trim(&mut self, rules: &Self::Rules, boundary: EventTime);

    /// The number of panes and summaries that are kept.
    fn size(&self) -> StateSize;

    /// The encoded sizes of the newest pane and of the newest summary, for estimates; `None` of what there is none of, or what
    /// cannot be encoded. Costs a walk through both.
    fn newest_bytes(&self) -> (Option<u64>, Option<u64>);
}
