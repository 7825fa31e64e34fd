//! What ingest has folded and not yet sent: by effective time, then by key.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use telemetra_core::{Accumulator, EventTime, Fact, Placement, StreamId, key_hash};

use crate::partial::Partial;

/// The partials and facts of one worker that take effect at the same time.
#[derive(Debug)]
pub(crate) struct Bucket<A> {
    /// The boundary after the effective time.
    pub(crate) end: EventTime,
    /// The start of the pane that ends there.
    pane: EventTime,
    index: HashTable<u32>,
    entries: Vec<(u64, StreamId, A)>,
    /// Late ones, by key and pane.
    late: BTreeMap<(StreamId, EventTime), A>,
    /// In the order of reading.
    pub(crate) facts: Vec<Fact>,
}

/// What a checkpoint keeps of a bucket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct BucketState<A: Accumulator> {
    pub(crate) end: EventTime,
    pub(crate) partials: Vec<Partial<A>>,
    pub(crate) facts: Vec<Fact>,
}

impl<A: Accumulator> Bucket<A> {
    /// The accumulator of a key and pane.
    fn accumulator(&mut self, key: &str, pane: EventTime) -> &mut A {
        if pane != self.pane {
            return self.late.entry((StreamId::new(key), pane)).or_default();
        }
        let hash = key_hash(key);
        let Self { index, entries, .. } = self;
        let found = index.find(hash, |&slot| {
            let (other, known, _) = &entries[slot as usize];
            *other == hash && &**known == key
        });
        let slot = match found {
            Some(&slot) => slot as usize,
            None => {
                let slot = entries.len();
                index.insert_unique(hash, slot as u32, |&slot| entries[slot as usize].0);
                entries.push((hash, StreamId::new(key), A::default()));
                slot
            }
        };
        &mut entries[slot].2
    }

    /// Empties it of its partials.
    pub(crate) fn drain_partials(&mut self) -> impl Iterator<Item = Partial<A>> + '_ {
        self.index.clear();
        let pane = self.pane;
        let on_time =
            self.entries.drain(..).map(move |(_, key, accumulator)| Partial { key, pane, accumulator });
        let late = std::mem::take(&mut self.late);
        on_time.chain(late.into_iter().map(|((key, pane), accumulator)| Partial { key, pane, accumulator }))
    }
}

/// The open buckets, oldest first.
#[derive(Debug)]
pub(crate) struct Buckets<A> {
    slide: u64,
    open: VecDeque<Bucket<A>>,
    /// Where the last event went: the next most often goes there too.
    hint: usize,
    /// An emptied bucket, to save its memory from being allocated again.
    spare: Option<Bucket<A>>,
}

impl<A: Accumulator> Buckets<A> {
    pub(crate) fn new(slide: u64) -> Self {
        Self { slide, open: VecDeque::new(), hint: 0, spare: None }
    }

    /// The accumulator of a key where a placement says.
    #[inline]
    pub(crate) fn accumulator(&mut self, key: &str, placement: &Placement) -> &mut A {
        self.bucket(placement.effective_end).accumulator(key, placement.pane)
    }

    /// The bucket of an effective time.
    pub(crate) fn bucket(&mut self, end: EventTime) -> &mut Bucket<A> {
        if self.open.get(self.hint).is_none_or(|bucket| bucket.end != end) {
            self.hint = self.open.partition_point(|bucket| bucket.end < end);
            if self.open.get(self.hint).is_none_or(|bucket| bucket.end != end) {
                let pane = end.minus(self.slide);
                let fresh = match self.spare.take() {
                    Some(spare) => Bucket { end, pane, ..spare },
                    None => Bucket {
                        end,
                        pane,
                        index: HashTable::new(),
                        entries: Vec::new(),
                        late: BTreeMap::new(),
                        facts: Vec::new(),
                    },
                };
                self.open.insert(self.hint, fresh);
            }
        }
        &mut self.open[self.hint]
    }

    /// Takes out the first bucket if it takes effect before `limit`. Give it [back](Self::recycle) when it is sent.
    pub(crate) fn pop_before(&mut self, limit: EventTime) -> Option<Bucket<A>> {
        let due = self.open.front().is_some_and(|bucket| bucket.end <= limit);
        self.hint = 0;
        due.then(|| self.open.pop_front()).flatten()
    }

    pub(crate) fn recycle(&mut self, bucket: Bucket<A>) {
        self.spare = Some(bucket);
    }

    /// What a checkpoint keeps.
    pub(crate) fn state(&self) -> Vec<BucketState<A>> {
        let state_of = |bucket: &Bucket<A>| {
            let on_time = bucket.entries.iter().map(|(_, key, accumulator)| Partial {
                key: key.clone(),
                pane: bucket.pane,
                accumulator: accumulator.clone(),
            });
            let late = bucket.late.iter().map(|((key, pane), accumulator)| Partial {
                key: key.clone(),
                pane: *pane,
                accumulator: accumulator.clone(),
            });
            BucketState {
                end: bucket.end,
                partials: on_time.chain(late).collect(),
                facts: bucket.facts.clone(),
            }
        };
        self.open.iter().map(state_of).collect()
    }

    /// Takes in what a checkpoint kept.
    pub(crate) fn restore(&mut self, state: Vec<BucketState<A>>) {
        for BucketState { end, partials, facts } in state {
            let bucket = self.bucket(end);
            for Partial { key, pane, accumulator } in partials {
                bucket.accumulator(&key, pane).merge(&accumulator);
            }
            bucket.facts.extend(facts);
        }
    }
}
