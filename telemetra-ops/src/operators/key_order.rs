//! The order of the keys of an operator, as far as it is known.

use telemetra_core::Key;

use crate::operators::keyed::Keyed;

/// The order of keys by slot. Output in this order is nearly sorted when it comes to the sinks, which take it
/// sorted, so that sorting costs little there: the keys of one time are mostly those of the time before.
///
/// New keys come last until there are many of them. The order is no promise.
#[derive(Debug, Default)]
pub(crate) struct KeyOrder {
    /// The slots by their key.
    order: Vec<u32>,
    /// The place of each slot in `order`; [`NEW`] if it is not in there.
    places: Vec<u32>,
    fresh: Vec<u32>,
    /// Room for slots with their places.
    ranked: Vec<u64>,
}

const NEW: u32 = u32::MAX;
/// New keys are put in order when there is one for so many others.
const ONE_IN: usize = 8;

impl KeyOrder {
    /// Adds the slot of a new key.
    pub(crate) fn add(&mut self, slot: u32) {
        let index = slot as usize;
        self.places.resize(self.places.len().max(index + 1), NEW);
        self.places[index] = NEW;
        self.fresh.push(slot);
    }

    /// Sorts slots by key, but for those of new keys.
    pub(crate) fn sort<K: Key, V>(&mut self, slots: &mut [u32], keys: &Keyed<K, V>) {
        if self.fresh.len() > self.order.len() / ONE_IN {
            self.include_fresh(keys);
        }
        let Self { ranked, places, .. } = self;
        let place = |slot: u32| places.get(slot as usize).copied().unwrap_or(NEW);
        ranked.extend(slots.iter().map(|&slot| u64::from(place(slot)) << 32 | u64::from(slot)));
        // Most of them are in the order in which they were planned.
        ranked.sort();
        slots.iter_mut().zip(ranked.drain(..)).for_each(|(slot, ranked)| *slot = ranked as u32);
    }

    fn include_fresh<K: Key, V>(&mut self, keys: &Keyed<K, V>) {
        let Self { order, places, fresh, .. } = self;
        order.retain(|slot| places[*slot as usize] != NEW);
        fresh.sort_unstable();
        fresh.dedup();
        order.append(fresh);
        order.retain(|slot| keys.key(*slot).is_some());
        // Most of it is sorted already.
        order.sort_by(|a, b| keys.key(*a).cmp(&keys.key(*b)));
        for (place, slot) in (0..).zip(&*order) {
            places[*slot as usize] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_in_the_order_of_their_keys_also_when_slots_are_used_again() {
        let (mut keys, mut order) = (Keyed::<String, ()>::default(), KeyOrder::default());
        let add = |keys: &mut Keyed<String, ()>, order: &mut KeyOrder, key: &str| {
            let slot = keys.slot_or_insert(key, || ());
            order.add(slot);
            slot
        };
        let first: Vec<_> = ["d", "b", "a", "c"].map(|key| add(&mut keys, &mut order, key)).into();
        let sorted = |order: &mut KeyOrder, keys: &Keyed<String, ()>, mut slots: Vec<u32>| {
            order.sort(&mut slots, keys);
            slots.into_iter().filter_map(|slot| keys.key(slot).cloned()).collect::<Vec<_>>().concat()
        };
        assert_eq!(sorted(&mut order, &keys, first.clone()), "abcd");
        keys.remove(first[2]);
        let again = add(&mut keys, &mut order, "e");
        assert_eq!(again, first[2]);
        let many = ["g", "f"].map(|key| add(&mut keys, &mut order, key));
        let all = [&first[..], &many[..]].concat();
        assert_eq!(sorted(&mut order, &keys, all), "bcdefg");
    }
}
