//! A map from keys to state in numbered slots, for operators that keep state by key.

use hashbrown::HashTable;
use telemetra_core::{Key, key_hash};

/// State by key, in slots that do not move while the key exists.
#[derive(Debug)]
pub(crate) struct Keyed<K, V> {
    index: HashTable<u32>,
    slots: Slots<Slot<K, V>>,
    free: Vec<u32>,
}

/// The number of slots that are worth [fetching](Keyed::fetch) together.
pub(crate) const BATCH: usize = 16;

/// The number of slots in a page.
const PAGE: usize = 256;

/// Slots in pages: one more key moves none, and a state of many hundred bytes has no room of twice that size.
#[derive(Debug)]
struct Slots<T> {
    pages: Vec<Vec<Option<T>>>,
}

impl<T> Slots<T> {
    fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE + last.len())
    }

    fn get(&self, slot: u32) -> Option<&T> {
        self.pages.get(slot as usize / PAGE)?.get(slot as usize % PAGE)?.as_ref()
    }

    fn place(&mut self, slot: u32) -> Option<&mut Option<T>> {
        self.pages.get_mut(slot as usize / PAGE)?.get_mut(slot as usize % PAGE)
    }

    fn push(&mut self, value: T) {
        match self.pages.last_mut().filter(|page| page.len() < PAGE) {
            Some(page) => page.push(Some(value)),
            None => {
                // The first page grows with the number of keys, which is often small.
                let room = if self.pages.is_empty() { 1 } else { PAGE };
                let mut page = Vec::with_capacity(room);
                page.push(Some(value));
                self.pages.push(page);
            }
        }
    }
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
        Self { index: HashTable::new(), slots: Slots { pages: Vec::new() }, free: Vec::new() }
    }
}

impl<K: Key, V> Keyed<K, V> {
    /// Returns the slot of a key, which is created if there is none.
    pub(crate) fn slot_or_insert(&mut self, key: K::Ref<'_>, make: impl FnOnce() -> V) -> u32 {
        let hash = key_hash(&key);
        let Self { index, slots, free } = self;
        let known =
            |&slot: &u32| slots.get(slot).is_some_and(|known| known.hash == hash && known.key.is(key));
        if let Some(&slot) = index.find(hash, known) {
            return slot;
        }
        let slot = free.pop().unwrap_or(slots.len() as u32);
        let entry = Slot { hash, key: K::from_ref(key), value: make() };
        match slots.place(slot) {
            Some(place) => *place = Some(entry),
            None => slots.push(entry),
        }
        index.insert_unique(hash, slot, |&slot| slots.get(slot).map_or(0, |known| known.hash));
        slot
    }

    /// Returns the slot of a key of this hash, if there is one.
    pub(crate) fn find(&self, hash: u64, key: K::Ref<'_>) -> Option<u32> {
        let known =
            |&slot: &u32| self.slots.get(slot).is_some_and(|known| known.hash == hash && known.key.is(key));
        self.index.find(hash, known).copied()
    }

    /// Returns the hash of the key of a slot; `None` if it was removed.
    pub(crate) fn hash(&self, slot: u32) -> Option<u64> {
        self.slots.get(slot).map(|slot| slot.hash)
    }

    /// Returns the number of keys.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Returns the key of a slot; `None` if it was removed.
    pub(crate) fn key(&self, slot: u32) -> Option<&K> {
        self.slots.get(slot).map(|slot| &slot.key)
    }

    /// Reads the part of each slot's state that `peek` returns, before the slots are looked at one by one. The state
    /// of a key is rarely in the processor's cache, and it waits for memory once for all of them instead of for one
    /// after the other. What is behind a pointer is best read by a second call, when the pointers are there.
    pub(crate) fn fetch(&self, slots: &[u32], peek: impl Fn(&V) -> u64) {
        let states = slots.iter().filter_map(|slot| self.slots.get(*slot));
        std::hint::black_box(states.fold(0, |all, slot| all ^ slot.hash ^ peek(&slot.value)));
    }

    /// Reads the places of the next [`BATCH`] arrivals' keys ahead, as [`fetch`](Self::fetch) reads states.
    pub(crate) fn fetch_keys<'a, T>(&self, arrivals: &'a [T], key: impl Fn(&'a T) -> K::Ref<'a>) {
        let next = arrivals.iter().take(BATCH).map(key);
        let places = next.filter_map(|key| self.slots.get(*self.index.find(key_hash(&key), |_| true)?));
        std::hint::black_box(places.fold(0, |all, slot| all ^ slot.hash));
    }

    /// Returns the key and state of a slot; `None` if the key was removed.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<(&K, &mut V)> {
        self.slots.place(slot)?.as_mut().map(|slot| (&slot.key, &mut slot.value))
    }

    /// Removes the key of a slot.
    pub(crate) fn remove(&mut self, slot: u32) {
        if let Some(gone) = self.slots.place(slot).and_then(Option::take)
            && let Ok(entry) = self.index.find_entry(gone.hash, |&other| other == slot)
        {
            entry.remove();
            self.free.push(slot);
        }
    }

    /// Iterates over all keys, with their slots and state.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &K, &mut V)> {
        let slots = self.slots.pages.iter_mut().flatten().enumerate();
        slots.filter_map(|(slot, entry)| {
            entry.as_mut().map(|entry| (slot as u32, &entry.key, &mut entry.value))
        })
    }
}
