//! A checkpoint store in an object store, for pipelines whose processes share no file system.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{ConfigError, ExternalError, Retry};

use super::bucket::{Bucket, Record};
use super::config::ObjectStoreConfig;

/// The object that says which blobs there are.
const INDEX: &str = "index.json";
/// The prefix of the objects that hold blobs.
const BLOBS: &str = "blobs";
/// The version of the format of the index.
const VERSION: u32 = 1;
/// The number of times, at most, that a change is tried again after another process was faster.
const TRIES: usize = 100;

/// A checkpoint store in S3, Google Cloud Storage or Azure Blob Storage, for pipelines whose processes share no
/// folder.
///
/// * Each blob of a checkpoint is an object of its own, which never changes. The object `index.json` under the prefix
///   of the URL lists the blobs and their objects, and which process holds which place: the *place* of a process is
///   its number among the processes of the pipeline. A blob is written before the index lists it, so it is there
///   whole or not at all, and [`put`](CheckpointStore::put) makes two requests.
/// * The index is replaced by a conditional put, which fails if another process has replaced the index since it was
///   read; the change is then repeated on the newer index.
/// * [`claim`](CheckpointStore::claim) takes a place over from the process that held it before. If that process stores
///   or removes a blob afterwards, its call fails with a permanent error and changes nothing.
/// * Objects of a process that died before the index listed them are removed by the next claim of place 0. Those of a
///   process that had claimed no place, such as one that takes a savepoint, stay.
/// * A prefix belongs to one pipeline. Do not give a bucket a lifecycle rule that deletes objects under it by age: a
///   checkpoint needs parts that are as old as its oldest unchanged state.
///
/// Conditional puts (`If-Match` and `If-None-Match`, or the like) are supported by Amazon S3 (since November 2024),
/// Cloudflare R2, MinIO, Versity's gateway, Google Cloud Storage and Azure Blob Storage. With a service that ignores
/// these headers, two processes could hold one place.
///
/// # Errors
///
/// Errors of the network, time-outs, and answers that the service is busy (408, 409, 425, 429, 5xx) are transient. Wrong
/// credentials, a missing bucket, and a place that another process has taken over are permanent. S3 takes blobs of up
/// to 5 GB. A blob is held in memory while it is stored or read.
///
/// ```
/// use telemetra_core::checkpoint::CheckpointStore;
/// use telemetra_sinks::{ObjectCheckpoints, ObjectStoreConfig};
///
/// // As s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX.
/// let config = ObjectStoreConfig::from_url("memory:///checkpoints")?;
/// let mut store = ObjectCheckpoints::new(&config)?;
/// store.claim(0, 1)?;
/// store.put("0001/part", b"state")?;
/// assert_eq!(store.get("0001/part")?.as_deref(), Some(&b"state"[..]));
///
/// // Another process takes the place.
/// ObjectCheckpoints::new(&config)?.claim(0, 1)?;
/// assert!(store.put("0002/part", b"state").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ObjectCheckpoints {
    bucket: Bucket,
    /// The index as it was last read or written.
    index: Option<Record<Index>>,
    /// The place that this process has claimed.
    place: Option<usize>,
    /// The number of this writer, which no other has or will have.
    generation: Option<u64>,
    /// The number of the next object.
    next: u64,
}

/// The contents of the index.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Index {
    version: u32,
    /// The number of changes: no two states of the index are equal.
    revision: u64,
    /// The greatest number that a writer has.
    generations: u64,
    /// The writer that holds each place.
    places: BTreeMap<usize, u64>,
    /// Writers without a place: those that take savepoints.
    guests: BTreeSet<u64>,
    /// The object of each blob, after [`BLOBS`].
    blobs: BTreeMap<String, String>,
}

impl Index {
    fn new() -> Self {
        Self {
            version: VERSION,
            revision: 0,
            generations: 0,
            places: BTreeMap::new(),
            guests: BTreeSet::new(),
            blobs: BTreeMap::new(),
        }
    }
}

impl ObjectCheckpoints {
    /// Creates a store under the URL of `config`. The first call of a method of the store makes the first request, so a
    /// missing bucket is an error of that call.
    ///
    /// # Errors
    ///
    /// If the options do not fit together, or a certificate cannot be read.
    pub fn new(config: &ObjectStoreConfig) -> Result<Self, ConfigError> {
        Ok(Self { bucket: config.bucket()?, index: None, place: None, generation: None, next: 0 })
    }

    /// Reads the index, if there is one.
    fn refresh(&mut self) -> Result<Option<&Index>, ExternalError> {
        self.index = Record::read(&self.bucket, INDEX, VERSION, |index: &Index| index.version)?;
        Ok(self.index.as_ref().map(|index| &index.value))
    }

    /// Changes the index, unless another process has taken over the place. `change` returns its result and whether
    /// anything is to be changed; it is repeated when another process was faster.
    fn change<T>(
        &mut self,
        what: &str,
        mut change: impl FnMut(&mut Index) -> (T, bool),
    ) -> Result<T, ExternalError> {
        if self.index.is_none() && self.refresh()?.is_none() {
            // Without its index nobody knows what is in the objects. Another process may just have made both.
            let objects = self.bucket.under(BLOBS).list()?;
            if let Some(object) = objects.first()
                && self.refresh()?.is_none()
            {
                return Err(ExternalError::permanent(format!(
                    "{what} in {}: it has {BLOBS}/{object} and no {INDEX}; restore that, or use an empty prefix",
                    self.bucket.url()
                )));
            }
        }
        for _ in 0..TRIES {
            let mut index = self.index.as_ref().map_or_else(Index::new, |index| index.value.clone());
            if let (Some(place), Some(generation)) = (self.place, self.generation)
                && index.places.get(&place) != Some(&generation)
            {
                return Err(ExternalError::taken_over(format!(
                    "{what} in {}: another process has taken over place {place}; stop one of the two, or give this \
                     pipeline another prefix",
                    self.bucket.url()
                )));
            }
            let (done, is_new) = change(&mut index);
            if !is_new {
                return Ok(done);
            }
            index.revision += 1;
            // What is read next time decides if this fails.
            let before = self.index.take();
            self.index = Record::replace(&self.bucket, INDEX, before.as_ref(), index)?;
            if self.index.is_some() {
                return Ok(done);
            }
            self.refresh()?;
        }
        Err(ExternalError::transient(format!(
            "{what} in {}: other processes replaced {INDEX} {TRIES} times meanwhile",
            self.bucket.url()
        )))
    }

    /// The number of this writer. Without a claim it gets one that holds no place.
    fn generation(&mut self) -> Result<u64, ExternalError> {
        if let Some(generation) = self.generation {
            return Ok(generation);
        }
        let generation = self.change("could not begin to write", |index| {
            index.generations += 1;
            index.guests.insert(index.generations);
            (index.generations, true)
        })?;
        self.generation = Some(generation);
        Ok(generation)
    }

    /// Removes the objects that the index does not name, of writers who cannot write any more.
    fn sweep(&mut self) -> Result<(), ExternalError> {
        let Some(index) = &self.index else { return Ok(()) };
        let index = &index.value;
        let named: BTreeSet<&str> = index.blobs.values().map(String::as_str).collect();
        let objects = self.bucket.under(BLOBS);
        for object in objects.list()? {
            let writer = object.split('-').next().and_then(|number| number.parse::<u64>().ok());
            let is_left = writer.is_some_and(|writer| {
                writer <= index.generations
                    && !index.guests.contains(&writer)
                    && !index.places.values().any(|holder| *holder == writer)
            });
            if is_left && !named.contains(&*object) {
                objects.remove(&object)?;
            }
        }
        Ok(())
    }

    /// Removes an object that the index names no more. What cannot be removed now is removed by a later claim.
    fn discard(&self, object: &str) {
        if let Err(error) = self.bucket.under(BLOBS).remove(object) {
            tracing::debug!(error = &error as &dyn std::error::Error, "an object that is not needed is left");
        }
    }
}

impl CheckpointStore for ObjectCheckpoints {
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        (self.place, self.generation, self.next) = (None, None, 0);
        let what = format!("could not claim place {process} among the checkpoints");
        let generation = self.change(&what, |index| {
            index.generations += 1;
            if process == 0 {
                index.places.retain(|place, _| *place < processes);
            }
            index.places.insert(process, index.generations);
            (index.generations, true)
        })?;
        (self.place, self.generation) = (Some(process), Some(generation));
        if process == 0 { self.sweep() } else { Ok(()) }
    }

    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        let object = format!("{:010}-{:010}", self.generation()?, self.next);
        // A number is used once, so that a blob never changes.
        self.next += 1;
        self.bucket.under(BLOBS).put(&object, blob.to_vec())?;
        let what = format!("could not store the checkpoint `{name}`");
        let stored = self.change(&what, |index| (index.blobs.insert(name.to_owned(), object.clone()), true));
        match stored {
            Ok(before) => before.iter().for_each(|before| self.discard(before)),
            // Whether the index names it is not known if the answer was lost.
            Err(error) if error.retry() == Retry::Transient => return Err(error),
            Err(error) => {
                self.discard(&object);
                return Err(error);
            }
        }
        Ok(())
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        let mut missing = None;
        loop {
            let object = self.refresh()?.and_then(|index| index.blobs.get(name).cloned());
            let Some(object) = object else { return Ok(None) };
            if let Some((blob, _)) = self.bucket.under(BLOBS).get(&object)? {
                return Ok(Some(blob));
            }
            // Another process may have replaced it since.
            if missing.as_ref() == Some(&object) {
                return Err(ExternalError::permanent(format!(
                    "could not read the checkpoint `{name}`: the object {} is gone; restore it",
                    self.bucket.url_of(&format!("{BLOBS}/{object}"))
                )));
            }
            missing = Some(object);
        }
    }

    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        Ok(self.refresh()?.map(|index| index.blobs.keys().cloned().collect()).unwrap_or_default())
    }

    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        let what = format!("could not remove the checkpoint `{name}`");
        let removed = self.change(&what, |index| {
            let removed = index.blobs.remove(name);
            let is_new = removed.is_some();
            (removed, is_new)
        })?;
        removed.iter().for_each(|object| self.discard(object));
        Ok(())
    }
}
