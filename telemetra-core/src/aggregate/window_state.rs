//! The contract between the windows operator and the state of one key, for sliding windows and sessions.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::Accumulator;
use crate::aggregate::panes::{StateSize, Summary};
use crate::codec::CodecError;
use crate::data::Data;
use crate::time::event_time::EventTime;
use crate::time::window::{Window, WindowSpec};

/// The state of one key's windows, which the windows operator advances from pane boundary to pane boundary.
pub trait WindowState: Default + 'static {
    /// The settings of all keys.
    type Rules: Copy + 'static;
    /// The partial aggregate of a pane.
    type Partial: Accumulator;
    /// The finished aggregate of a window.
    type Output: Data;
    /// The state of one key in a checkpoint.
    type State: Serialize + DeserializeOwned + Send + 'static;

    /// True if the state of a key can be [packed](Self::pack). Default: false.
    const PACKS: bool = false;

    /// Gives up accumulators and summaries for their encodings until they are needed, before the state is
    /// [packed](Self::pack) to leave memory. Returns false if one cannot be decoded from it, or a summary would not be
    /// the same: then the key must stay. Default: does nothing.
    fn encode(&mut self) -> bool {
        true
    }

    /// Writes all of the state as bytes, without what can be computed anew. Only called if it
    /// [can](Self::PACKS).
    ///
    /// # Errors
    ///
    /// If an accumulator or a summary cannot be encoded.
    fn pack(&self, into: &mut Vec<u8>) -> Result<(), CodecError> {
        let _ = into;
        Ok(())
    }

    /// Reads what was [packed](Self::pack).
    ///
    /// # Errors
    ///
    /// If the bytes are not of such a state.
    fn unpack(bytes: &[u8]) -> Result<Self, CodecError> {
        let _ = bytes;
        Ok(Self::default())
    }

    /// An estimate of the bytes of memory beyond the state itself, without what accumulators and summaries
    /// point to. Default: none.
    fn memory(&self) -> usize {
        0
    }

    /// The panes, at whose boundaries windows are closed.
    fn panes(rules: &Self::Rules) -> WindowSpec;

    /// The settings with which state cannot be read as anything else, in words, and how far back summaries are kept, in
    /// milliseconds.
    fn describe(rules: &Self::Rules) -> (String, u64);

    /// Advances the key to `boundary`: merges the partials that took effect just before it, which come with
    /// the start of their pane; corrects the windows that they change; closes the windows that end; and
    /// retires the windows beyond the horizon. `emit` is called with each change of the collection of
    /// summaries.
    fn advance(
        &mut self,
        rules: &Self::Rules,
        boundary: EventTime,
        partials: &mut Vec<(EventTime, Self::Partial)>,
        emit: impl FnMut(Summary<Self::Output>, isize),
    );

    /// A number that depends on memory that advancing needs: reading it brings that memory into the cache.
    fn peek(&self) -> u64 {
        0
    }

    /// The same for memory behind the pointers that [`peek`](Self::peek) reads.
    fn peek_deeper(&self) -> u64 {
        0
    }

    /// The boundary at which the key must be advanced next if no partial arrives; `None` if it has no state.
    fn wake(&self, rules: &Self::Rules, boundary: EventTime) -> Option<EventTime>;

    /// Returns whether there is a window with events that has not ended at `boundary`.
    fn is_open(&self, rules: &Self::Rules, boundary: EventTime) -> bool;

    /// The windows with events that have begun and not ended at `boundary`, to which the key was advanced; a
    /// session's window as it is so far.
    fn open_windows(&self, rules: &Self::Rules, boundary: EventTime) -> Vec<Window>;

    /// The aggregate of an open window so far. Costs one merge per pane.
    fn open_summary(&self, window: Window) -> Summary<Self::Output>;

    /// The summaries in the collection, oldest first.
    fn summaries(&self, rules: &Self::Rules) -> impl Iterator<Item = Summary<Self::Output>> + '_;

    /// The part of the state that changed after `since`; all of it for [`EventTime::MIN`]. `None` if nothing
    /// changed.
    fn state_since(&self, rules: &Self::Rules, since: EventTime) -> Option<Self::State>;

    /// Restores a part of a checkpoint that was taken at `boundary`. Parts are restored oldest first; a later
    /// part replaces.
    fn restore(&mut self, rules: &Self::Rules, state: Self::State, boundary: EventTime);

    /// Completes a restore: removes the state that was removed before `boundary`, which a checkpoint of
    /// several parts still contains, and marks the windows that were closed by then.
    fn trim(&mut self, rules: &Self::Rules, boundary: EventTime);

    /// The size of the state.
    fn size(&self) -> StateSize;

    /// The encoded sizes of the newest pane and the newest summary, for estimates; `None` if there is none,
    /// or it cannot be encoded. Costs as much as encoding both.
    fn newest_bytes(&self) -> (Option<u64>, Option<u64>);
}
