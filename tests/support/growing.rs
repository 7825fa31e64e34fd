//! A source that gets partitions while it is read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra::core::ExternalError;
use telemetra::core::source::{Memory, MemoryHandle, Partition, PartitionId, Source};

/// Clones share the partitions, as clients of one broker would.
#[derive(Clone, Default)]
pub struct Growing(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    memory: Memory,
    /// Names that are not listed any more.
    gone: Vec<String>,
    /// What was opened: the name, and whether as new.
    opened: Vec<(String, bool)>,
    /// Names that cannot be opened.
    shut: Vec<String>,
    /// Errors that listing gives first.
    listing: Vec<ExternalError>,
}

impl Growing {
    /// Adds a partition that goes on until its handle ends it.
    pub fn add(&self, name: &str, records: &[String]) -> MemoryHandle {
        let mut world = self.0.lock().unwrap();
        world.memory = std::mem::take(&mut world.memory).records_per_poll(3);
        let handle = world.memory.handle(name);
        records.iter().for_each(|record| handle.append(record.as_str()));
        handle
    }

    pub fn remove(&self, name: &str) {
        self.0.lock().unwrap().gone.push(name.to_owned());
    }

    /// Has opening that partition fail, or not any more.
    pub fn shut(&self, name: &str, shut: bool) {
        let mut world = self.0.lock().unwrap();
        world.shut.retain(|other| other != name);
        world.shut.extend(shut.then(|| name.to_owned()));
    }

    pub fn fail_to_list(&self, errors: Vec<ExternalError>) {
        self.0.lock().unwrap().listing = errors;
    }

    /// Whether the errors have all been given.
    pub fn has_failed_to_list(&self) -> bool {
        self.0.lock().unwrap().listing.is_empty()
    }

    /// How often a partition was opened, and how often as new.
    pub fn opened(&self, name: &str) -> (usize, usize) {
        let world = self.0.lock().unwrap();
        let of_it = world.opened.iter().filter(|(opened, _)| opened == name);
        (of_it.clone().count(), of_it.filter(|(_, new)| *new).count())
    }
}

impl Source for Growing {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        let mut world = self.0.lock().unwrap();
        if let Some(error) = world.listing.pop() {
            return Err(error);
        }
        let mut names = world.memory.partitions()?;
        names.retain(|id| !world.gone.iter().any(|gone| id.as_str() == gone));
        Ok(names)
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        let mut world = self.0.lock().unwrap();
        world.opened.push((id.as_str().to_owned(), false));
        world.memory.open(id, from)
    }

    fn open_new(&mut self, id: &PartitionId) -> Result<Box<dyn Partition>, ExternalError> {
        let mut world = self.0.lock().unwrap();
        if world.shut.iter().any(|name| id.as_str() == name) {
            return Err(ExternalError::permanent(format!("may not open `{id}`")));
        }
        world.opened.push((id.as_str().to_owned(), true));
        world.memory.open(id, None)
    }

    fn refresh_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(1))
    }
}
