//! The key of all aggregates: the stream.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::core::{ColumnKind, Key, Value};

/// The id of a stream: the key of all aggregates. Ids of up to 24 bytes are stored inline.
///
/// It is a type of its own and not a string, so that the id of a user or an event cannot be used in its
/// place.
///
/// ```
/// use telemetra::core::Key;
/// use telemetra::livestream::StreamId;
/// let ada = StreamId::new("ada");
/// assert!(ada.is("ada"));
/// assert_eq!(ada.text(), "ada");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(CompactString);

impl StreamId {
    /// Creates the id from its text.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(CompactString::new(id))
    }

    /// Returns the text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Key for StreamId {
    type Ref<'a> = &'a str;
    const KINDS: &'static [ColumnKind] = &[ColumnKind::Text];

    fn as_ref(&self) -> &str {
        &self.0
    }

    fn from_ref(id: &str) -> Self {
        Self::new(id)
    }

    #[inline]
    fn is(&self, id: &str) -> bool {
        self.0 == id
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.0));
    }

    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
}

impl Deref for StreamId {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// A map by stream can be searched with a `&str`.
impl Borrow<str> for StreamId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for StreamId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
