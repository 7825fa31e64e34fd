//! The objects of a bucket under a prefix, as blocking calls.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use object_store::path::Path;
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetra_core::ExternalError;

use super::http::Last;

/// A bucket, and the prefix of the names of all objects that are read and written.
#[derive(Clone)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The URL of the prefix, without credentials.
    url: Arc<str>,
    /// The outcome of the last request.
    last: Arc<Last>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.url).finish()
    }
}

/// The version of an object that was read or written.
#[derive(Clone, Debug)]
pub(crate) struct Version(UpdateVersion);

impl Version {
    fn of(put: PutResult) -> Self {
        Self(UpdateVersion { e_tag: put.e_tag, version: put.version })
    }

    fn found(meta: &ObjectMeta) -> Self {
        Self(UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() })
    }
}

/// The outcome of a conditional put.
pub(crate) enum Put {
    Done(Version),
    /// The object is another than the one that was to be replaced.
    Conflict,
}

impl Bucket {
    pub(super) fn new(store: Arc<dyn ObjectStore>, prefix: Path, url: &str, last: Arc<Last>) -> Self {
        Self { store, prefix, url: url.trim_end_matches('/').into(), last }
    }

    /// The URL, without credentials.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The objects whose names begin with `part` and a slash.
    pub(crate) fn under(&self, part: &str) -> Self {
        Self { prefix: self.path(part), url: self.url_of(part).into(), ..self.clone() }
    }

    /// The URL of an object.
    pub(crate) fn url_of(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn path(&self, name: &str) -> Path {
        name.split('/')
            .filter(|part| !part.is_empty())
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// Stores an object, and replaces the one of this name.
    pub(crate) fn put(&self, name: &str, bytes: impl Into<PutPayload>) -> Result<(), ExternalError> {
        match wait(self.store.put(&self.path(name), bytes.into())) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed("write", name, error)),
        }
    }

    /// Stores an object if there is none of this name, or if the one that is there is still that `version`.
    pub(crate) fn put_if(
        &self,
        name: &str,
        version: Option<&Version>,
        bytes: impl Into<PutPayload>,
    ) -> Result<Put, ExternalError> {
        let mode = version.map_or(PutMode::Create, |version| PutMode::Update(version.0.clone()));
        let options = PutOptions { mode, ..PutOptions::default() };
        match wait(self.store.put_opts(&self.path(name), bytes.into(), options)) {
            Ok(put) => Ok(Put::Done(Version::of(put))),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Put::Conflict),
            // Services answer so when two write at the same time, and when what was to be replaced is gone.
            Err(_) if self.last.status() == Some(409) => Ok(Put::Conflict),
            Err(Error::NotFound { .. }) if version.is_some() => Ok(Put::Conflict),
            Err(error) => Err(self.failed("write", name, error)),
        }
    }

    /// Reads an object; `None` if there is none.
    pub(crate) fn get(&self, name: &str) -> Result<Option<(Vec<u8>, Version)>, ExternalError> {
        let read = wait(async {
            let found = self.store.get(&self.path(name)).await?;
            let version = Version::found(&found.meta);
            Ok((found.bytes().await?.into(), version))
        });
        match read {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) if self.lacks_object() => Ok(None),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }

    /// The names of all objects under the prefix, from it on.
    pub(crate) fn list(&self) -> Result<Vec<String>, ExternalError> {
        let listed = wait(async {
            let mut names = Vec::new();
            let mut found = self.store.list(Some(&self.prefix));
            while let Some(meta) = std::future::poll_fn(|cx| found.as_mut().poll_next(cx)).await {
                let location = meta?.location;
                let rest = location.as_ref().strip_prefix(self.prefix.as_ref()).unwrap_or_default();
                names.push(rest.trim_start_matches('/').to_owned());
            }
            Ok(names)
        });
        listed.map_err(|error| self.failed("list", "", error))
    }

    /// Removes an object. Does nothing if there is none.
    pub(crate) fn remove(&self, name: &str) -> Result<(), ExternalError> {
        match wait(self.store.delete(&self.path(name))) {
            Ok(()) => Ok(()),
            Err(Error::NotFound { .. }) if self.lacks_object() => Ok(()),
            Err(error) => Err(self.failed("remove", name, error)),
        }
    }

    /// Returns whether what was not found is an object, and not the bucket or the user: then nothing would be known of it.
    fn lacks_object(&self) -> bool {
        self.last.status().is_none() || ["NoSuchKey", "BlobNotFound"].iter().any(|code| self.last.says(code))
    }

    /// The error of a failed operation: what was tried with which object, and what to do.
    fn failed(&self, what: &str, name: &str, error: Error) -> ExternalError {
        let what = format!("could not {what} {}", self.url_of(name).trim_end_matches('/'));
        let lasting = |cure: &str| ExternalError::permanent(format!("{what}: {cure}"));
        match &error {
            Error::NotFound { .. } => {
                lasting("there is no such bucket or container; make it, or correct the URL")
            }
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                lasting("the service refuses the credentials; check them, and what they may do in the bucket")
            }
            Error::NotImplemented { .. } | Error::NotSupported { .. } => {
                lasting("the service has no conditional puts (`If-Match`); use one that has them")
            }
            Error::UnknownConfigurationKey { .. } | Error::InvalidPath { .. } => {
                lasting("correct the settings")
            }
            _ => return self.last.error(what, error),
        }
        .because(error)
    }
}

/// An object that holds a value as JSON, and is replaced only if no one else has.
#[derive(Debug)]
pub(crate) struct Record<T> {
    pub(crate) value: T,
    version: Version,
}

impl<T: Serialize + DeserializeOwned> Record<T> {
    /// Reads the record; `None` if there is none. `known` is the newest version of its format, and `version_of` the one
    /// that wrote it.
    pub(crate) fn read(
        bucket: &Bucket,
        name: &str,
        known: u32,
        version_of: impl Fn(&T) -> u32,
    ) -> Result<Option<Self>, ExternalError> {
        let Some((text, version)) = bucket.get(name)? else { return Ok(None) };
        let refused = |why: &str| {
            ExternalError::permanent(format!(
                "could not go on in {}: its {name} {why}, or use another prefix",
                bucket.url()
            ))
        };
        let value: T = serde_json::from_slice(&text)
            .map_err(|error| refused("is damaged; restore it").because(error))?;
        let found = version_of(&value);
        if found > known {
            return Err(refused(&format!(
                "has version {found} and this version of telemetra knows up to {known}; use the newer one"
            )));
        }
        Ok(Some(Self { value, version }))
    }

    /// Replaces the record that was read, or makes the first one. `None` if another process was faster.
    pub(crate) fn replace(
        bucket: &Bucket,
        name: &str,
        before: Option<&Self>,
        value: T,
    ) -> Result<Option<Self>, ExternalError> {
        let text = serde_json::to_vec(&value).map_err(|error| {
            ExternalError::permanent(format!("could not write {}", bucket.url_of(name))).because(error)
        })?;
        Ok(match bucket.put_if(name, before.map(|before| &before.version), text)? {
            Put::Done(version) => Some(Self { value, version }),
            Put::Conflict => None,
        })
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future in this thread. The requests of it block the thread, so no runtime is needed, and the caller may be
/// in one.
fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
