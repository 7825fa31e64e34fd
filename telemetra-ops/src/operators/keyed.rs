//! A map from keys to state in numbered slots, for operators that keep state by key.

use hashbrown::HashTable;
use telemetra_core::{Key, key_hash};

/// State by key, in slots that do not move while the key exists.
#[derive(Debug)]
pub(crate) struct Keyed<K, V> {
    index: HashTable<u32>,
    slots: Vec<Option<Slot<K, V>>>,
    free: Vec<u32>,
}

/// A key and its state.
#[derive(Debug)]
struct Slot<K, V> {
    hash: u64,
    key: K,
    value: V,
}

impl<K, V> Default for Keyed<K, V> {
    fn default() -> Self {
        Self { index: HashTable::new(), slots: Vec::new(), free: Vec::new() }
    }
}

impl<K: Key, V> Keyed<K, V> {
    /// Returns the slot of a key, which is created if there is none.
    pub(crate) fn slot_or_insert(&mut self, key: K::Ref<'_>, make: impl FnOnce() -> V) -> u32 {
        let hash = key_hash(&key);
        let Self { index, slots, free } = self;
        let known = |&slot: &u32| {
            slots[slot as usize].as_ref().is_some_and(|known| known.hash == hash && known.key.is(key))
        };
        if let Some(&slot) = index.find(hash, known) {
            return slot;
        }
        let slot = free.pop().unwrap_or(slots.len() as u32);
        let entry = Some(Slot { hash, key: K::from_ref(key), value: make() });
        match slots.get_mut(slot as usize) {
            Some(place) => *place = entry,
            None => slots.push(entry),
        }
        index.insert_unique(hash, slot, |&slot| slots[slot as usize].as_ref().map_or(0, |known| known.hash));
        slot
    }

    /// Returns the number of keys.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Returns the key and state of a slot; `None` if the key was removed.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<(&K, &mut V)> {
        self.slots.get_mut(slot as usize)?.as_mut().map(|slot| (&slot.key, &mut slot.value))
    }

    /// Removes the key of a slot.
    pub(crate) fn remove(&mut self, slot: u32) {
        if let Some(gone) = self.slots.get_mut(slot as usize).and_then(Option::take)
            && let Ok(entry) = self.index.find_entry(gone.hash, |&other| other == slot)
        {
            entry.remove();
            self.free.push(slot);
        }
    }

    /// Iterates over all keys, with their slots and state.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &K, &mut V)> {
        let slots = self.slots.iter_mut().enumerate();
        slots.filter_map(|(slot, entry)| {
            entry.as_mut().map(|entry| (slot as u32, &entry.key, &mut entry.value))
        })
    }
}
