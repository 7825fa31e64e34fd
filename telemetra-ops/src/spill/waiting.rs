//! The arrivals at one time for keys that are not in memory, in rounds of so many keys.

use crate::spill::cold::Cold;
use crate::spill::segments::Place;

/// The least number of keys of a round: fewer are not worth it.
const LEAST: usize = 64;

/// The arrivals of one time for keys that are not in memory, and the hashes of those that are due.
#[derive(Debug)]
pub(crate) struct Waiting<A> {
    /// By hash, and for each in the order in which they arrived.
    arrivals: Vec<(u64, Option<A>)>,
    /// The hashes, in the order of the places of their keys, and each once.
    hashes: Vec<(Place, u64)>,
    done: usize,
}

impl<A> Waiting<A> {
    pub(crate) fn new(arrivals: Vec<(u64, A)>, due: Vec<u64>, cold: &Cold) -> Self {
        let mut arrivals: Vec<_> =
            arrivals.into_iter().map(|(hash, arrival)| (hash, Some(arrival))).collect();
        arrivals.sort_by_key(|(hash, _)| *hash);
        let mut hashes: Vec<u64> = arrivals.iter().map(|(hash, _)| *hash).chain(due).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let mut hashes: Vec<_> = hashes.into_iter().map(|hash| (cold.place(hash), hash)).collect();
        hashes.sort_unstable();
        Self { arrivals, hashes, done: 0 }
    }

    /// The hashes of the next round, of which at most half of the keys in memory are; empty if nothing is left.
    pub(crate) fn next(&mut self, most: Option<usize>) -> Vec<u64> {
        let size = (most.unwrap_or(usize::MAX) / 2).max(LEAST);
        let round = self.hashes.iter().skip(self.done).take(size).map(|(_, hash)| *hash).collect::<Vec<_>>();
        self.done += round.len();
        round
    }

    /// Takes the arrivals for the keys of a hash.
    pub(crate) fn take(&mut self, hash: u64) -> impl Iterator<Item = A> + '_ {
        let first = self.arrivals.partition_point(|(other, _)| *other < hash);
        let own = self.arrivals[first..].iter_mut().take_while(move |(other, _)| *other == hash);
        own.filter_map(|(_, arrival)| arrival.take())
    }
}
