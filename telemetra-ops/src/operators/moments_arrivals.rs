//! The arrivals of the moments operator: changes of windows, by the slot of their key.

use telemetra_core::{Data, EventTime, Key, Summary};

use crate::operators::keyed::BATCH;
use crate::operators::moments::{Arrival, MomentsTactic};

impl<K: Key, S: Data> MomentsTactic<K, S> {
    /// Takes the changes of a time and returns them with the slots of their keys, those of a key together. Before the
    /// end of the restored times, windows are only recalled, and their keys are added to `touched`.
    pub(super) fn by_slot(
        &mut self,
        time: EventTime,
        arrivals: &mut Vec<Arrival<K, S>>,
        touched: &mut Vec<u32>,
    ) -> Vec<(u32, Summary<S>, isize)> {
        let (mut arrived, mut is_scattered) = (Vec::with_capacity(arrivals.len()), false);
        let mut last: Option<(K, u32)> = None;
        let mut rest = arrivals.drain(..);
        while !rest.as_slice().is_empty() {
            self.keys.fetch_keys(rest.as_slice(), |((key, _), _)| key.as_ref());
            for ((key, summary), diff) in rest.by_ref().take(BATCH) {
                let known = last.as_ref().filter(|(of, _)| *of == key).map(|(_, slot)| *slot);
                let slot = known.unwrap_or_else(|| self.slot(&key));
                let seen = std::mem::replace(&mut self.seen[slot as usize], time) == time;
                is_scattered |= seen && known.is_none();
                if known.is_none() {
                    last = Some((key, slot));
                }
                if time >= self.restored {
                    arrived.push((slot, summary, diff));
                    continue;
                }
                touched.push(slot);
                if let Some((_, episodes)) = self.keys.get_mut(slot) {
                    episodes.recall(&self.rules, &self.windows, summary.window.end, &summary.value);
                }
            }
        }
        drop(rest);
        // The operator before emits the changes of one key together.
        if is_scattered {
            arrived.sort_by_key(|(slot, ..)| *slot);
        }
        arrived
    }
}
