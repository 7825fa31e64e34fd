//! The arrivals at one time for keys that are not in memory, divided into rounds by the memory that the keys take.

use crate::spill::cold::Cold;
use crate::spill::index::ShortHash;
use crate::spill::segments::Place;

/// The least number of keys of a round: fewer are not worth it.
const LEAST: usize = 64;

/// The arrivals of one time for keys that are not in memory, and the hashes of those that are due.
#[derive(Debug)]
pub(crate) struct Waiting<A> {
    /// In the order in which they arrived, until they are taken.
    arrivals: Vec<Option<A>>,
    /// The numbers of the arrivals, by hash: sorting the arrivals themselves would move much more memory.
    numbers: Vec<(ShortHash, u32)>,
    /// The hashes, in the order of the places of their keys; twice if two keys have the same.
    hashes: Vec<(Place, ShortHash)>,
    done: usize,
    /// The number of hashes in the next round.
    planned: usize,
}

impl<A> Waiting<A> {
    /// `due` are the hashes of keys without arrivals, or with some, and their places.
    pub(crate) fn new(arrivals: Vec<(ShortHash, A)>, due: Vec<(Place, ShortHash)>, cold: &Cold) -> Self {
        let mut numbers: Vec<_> = (0..).zip(&arrivals).map(|(number, (hash, _))| (*hash, number)).collect();
        numbers.sort_unstable();
        let arrivals = arrivals.into_iter().map(|(_, arrival)| Some(arrival)).collect();
        let mut hashes = due;
        let arrived = numbers.chunk_by(|(one, _), (other, _)| one == other);
        hashes.extend(arrived.map(|same| (cold.place(same[0].0), same[0].0)));
        hashes.sort_unstable();
        hashes.dedup();
        Self { arrivals, numbers, hashes, done: 0, planned: 0 }
    }

    /// Plans the next round, and returns how much memory its keys will take, which is at most `room` if that is enough
    /// for [some](LEAST). `size` is the memory of a key whose record has a length, 0 for a new one.
    pub(crate) fn plan(&mut self, room: u64, size: impl Fn(u64) -> u64) -> u64 {
        let (mut number, mut all) = (0, 0);
        for (place, _) in &self.hashes[self.done..] {
            let with = all + size(place.length());
            if with > room && number >= LEAST {
                break;
            }
            (number, all) = (number + 1, with);
        }
        self.planned = number;
        all
    }

    /// The hashes of the [planned](Self::plan) round; empty if nothing is left.
    pub(crate) fn next(&mut self) -> Vec<ShortHash> {
        let left = self.hashes.iter().skip(self.done).take(std::mem::take(&mut self.planned));
        let round: Vec<ShortHash> = left.map(|(_, hash)| *hash).collect();
        self.done += round.len();
        round
    }

    /// Takes the arrivals for the keys of a hash.
    pub(crate) fn take(&mut self, hash: ShortHash) -> impl Iterator<Item = A> + '_ {
        let Self { arrivals, numbers, .. } = self;
        let first = numbers.partition_point(|(other, _)| *other < hash);
        let own = numbers[first..].iter().take_while(move |(other, _)| *other == hash);
        own.filter_map(|(_, number)| arrivals.get_mut(*number as usize)?.take())
    }
}
