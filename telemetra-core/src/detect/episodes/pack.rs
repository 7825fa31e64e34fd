//! The state of one key's episodes as bytes, for keys that are not kept in memory.

use bincode::Options;
use serde::{Deserialize, Serialize};

use super::contents::Contents;
use super::exclude::Levels;
use super::explain::Explanations;
use super::follow::Following;
use super::history::History;
use super::starts::Starts;
use super::{Found, KeyEpisodes};
use crate::codec::CodecError;
use crate::data::Data;
use crate::detect::moment::MomentRule;
use crate::key::Key;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

/// All but the states of detectors, in the order in which it is written.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Packed<K: Key, S: Data> {
    history: History,
    found: Vec<Found<K>>,
    rules: u32,
    levels: Levels,
    starts: Starts,
    last: EventTime,
    contents: Option<Box<Contents<S>>>,
    explained: Explanations,
    /// The end of the last settled window, and the states of the detectors after it.
    following: Option<(EventTime, Vec<Vec<u8>>)>,
}

fn encoding() -> impl Options {
    bincode::DefaultOptions::new()
}

impl<K: Key, S: Data> KeyEpisodes<K, S> {
    /// Gives up summaries for their encodings until they are needed, before the state is [packed](Self::pack) to leave
    /// memory. Returns false if one would not be the same after decoding: then the key must stay.
    pub fn encode(&mut self) -> bool {
        self.contents.as_mut().is_none_or(|contents| contents.encode())
    }

    /// Writes all of the state as bytes, without what can be computed anew. Returns whether it can be: not
    /// while the states of detectors are made from windows before them.
    ///
    /// # Errors
    ///
    /// If a key, a summary or the state of a detector cannot be encoded.
    pub fn pack(&self, into: &mut Vec<u8>) -> Result<bool, CodecError> {
        let Self { history, found, rules, levels, starts, last, following, contents, explained } = self;
        let saved = following.as_ref().map(|following| following.save()).transpose()?;
        if following.as_ref().zip(saved.as_ref()).is_some_and(|(all, (_, saved))| !all.is_complete(saved)) {
            return Ok(false);
        }
        let packed = (history, found, rules, levels, starts, last, contents, explained, saved);
        encoding().serialize_into(into, &packed)?;
        Ok(true)
    }

    /// Reads what was [packed](Self::pack) under the same rules. The windows that are not settled are observed
    /// again by the detectors with state before the next one, with the same result.
    ///
    /// # Errors
    ///
    /// If the bytes are not of such a state.
    pub fn unpack(rules: &[MomentRule<S>], key: &K, bytes: &[u8]) -> Result<Self, CodecError> {
        let packed: Packed<K, S> = encoding().deserialize(bytes)?;
        let following = match packed.following {
            Some((settled, saved)) => {
                let mut following = Following::new(rules, key);
                following.restore(settled, &saved)?;
                Some(Box::new(following))
            }
            None => None,
        };
        let Packed { history, found, rules, levels, starts, last, contents, explained, .. } = packed;
        Ok(Self { history, found, rules, levels, starts, last, following, contents, explained })
    }

    /// An estimate of the bytes of memory beyond the state itself.
    #[must_use]
    pub fn memory(&self) -> usize {
        let contents = self.contents.as_ref().map_or(0, |contents| contents.memory());
        self.history.memory() + self.found.capacity() * size_of::<Found<K>>() + contents
    }

    /// The boundaries at which the key must be advanced if no window changes: [`wake`](Self::wake), and that
    /// which [`releases`](Self::releases) has returned.
    pub fn due(&self, rules: &[MomentRule<S>], windows: &WindowRules) -> impl Iterator<Item = EventTime> {
        let releases = self.contents.as_ref().and_then(|contents| contents.releases_at);
        self.wake(rules, windows).into_iter().chain(releases)
    }
}
