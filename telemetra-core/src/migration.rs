//! Migrations: how a value that an earlier version encoded becomes a value of this version.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::codec::CodecError;

/// A decoder of `T` that reads from the front of the bytes and leaves the rest.
type Decode<T> = Arc<dyn Fn(&mut &[u8]) -> Result<T, CodecError> + Send + Sync>;

/// A migration of state: it decodes a value of the type that an earlier version had, and turns it into a `T`.
///
/// State in checkpoints is encoded by `bincode`, which says nothing of types. So the earlier type has to be
/// there still: an equal one, whose fields have the same order and the same types. Its name and its module do
/// not matter.
///
/// ```
/// use telemetra_core::checkpoint::Migration;
///
/// // Version 0 had a count. Version 1 has a count and a sum, version 2 the sum in thousandths.
/// type V0 = (u64,);
/// type V1 = (u64, i64);
/// type V2 = (u64, i64);
/// let to_2 = |(count, sum): V1| -> V2 { (count, sum * 1000) };
///
/// // Each version that may be found has a migration of its own, made of steps.
/// let from_0 = Migration::<V1>::new(|(count,): V0| (count, 0)).then(to_2);
/// let from_1 = Migration::new(to_2);
///
/// let found = bincode::serialize(&(7u64,)).unwrap();
/// assert_eq!(from_0.decode(&mut &found[..])?, (7, 0));
/// let found = bincode::serialize(&(7u64, 3i64)).unwrap();
/// assert_eq!(from_1.decode(&mut &found[..])?, (7, 3000));
/// # Ok::<(), telemetra_core::checkpoint::CodecError>(())
/// ```
pub struct Migration<T>(Decode<T>);

impl<T> Clone for Migration<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Migration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Migration to {}", std::any::type_name::<T>())
    }
}

impl<T: 'static> Migration<T> {
    /// A migration that decodes an `O` and turns it into a `T`.
    pub fn new<O: DeserializeOwned>(change: impl Fn(O) -> T + Send + Sync + 'static) -> Self {
        Self::decoding(move |bytes| Ok(change(bincode::deserialize_from(bytes)?)))
    }

    /// A migration that decodes by hand: it reads the value from the front of the bytes, and leaves the rest.
    pub fn decoding(decode: impl Fn(&mut &[u8]) -> Result<T, CodecError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(decode))
    }

    /// No change: it decodes a `T`.
    #[must_use]
    pub fn unchanged() -> Self
    where
        T: DeserializeOwned,
    {
        Self::new(|value: T| value)
    }

    /// The migration to a later version.
    pub fn then<U: 'static>(self, change: impl Fn(T) -> U + Send + Sync + 'static) -> Migration<U> {
        Migration::decoding(move |bytes| self.decode(bytes).map(&change))
    }

    /// The migration of a list of such values.
    #[must_use]
    pub fn of_list(self) -> Migration<Vec<T>> {
        Migration::decoding(move |bytes| {
            let length: u64 = bincode::deserialize_from(&mut *bytes)?;
            (0..length).map(|_| self.decode(bytes)).collect()
        })
    }

    /// The migration of a pair, of which this is the second value and the first stays as it is.
    #[must_use]
    pub fn after<A: DeserializeOwned + 'static>(self) -> Migration<(A, T)> {
        Migration::decoding(move |bytes| {
            let first = bincode::deserialize_from(&mut *bytes)?;
            Ok((first, self.decode(bytes)?))
        })
    }

    /// Decodes a value from the front of the bytes, and leaves the rest.
    ///
    /// # Errors
    ///
    /// If the bytes are not a value of the earlier type.
    pub fn decode(&self, bytes: &mut &[u8]) -> Result<T, CodecError> {
        (self.0)(bytes)
    }

    /// Decodes a value that is all of the bytes.
    ///
    /// # Errors
    ///
    /// If the bytes are not a value of the earlier type, or more than that.
    pub fn decode_all(&self, mut bytes: &[u8]) -> Result<T, CodecError> {
        let value = self.decode(&mut bytes)?;
        if bytes.is_empty() { Ok(value) } else { Err(CodecError::Rest { bytes: bytes.len() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_pairs_is_migrated_value_by_value() -> Result<(), CodecError> {
        let found = bincode::serialize(&vec![("a".to_owned(), 1u64), ("b".to_owned(), 2)])?;
        let migration = Migration::new(|n: u64| (n, n * 10)).after::<String>().of_list();
        assert_eq!(migration.decode_all(&found)?, [("a".to_owned(), (1, 10)), ("b".to_owned(), (2, 20))]);
        let longer = [&found[..], &[0]].concat();
        assert!(matches!(migration.decode_all(&longer), Err(CodecError::Rest { bytes: 1 })));
        assert!(migration.decode_all(&found[..found.len() - 1]).is_err(), "cut off");
        let huge = bincode::serialize(&u64::MAX)?;
        assert!(migration.decode_all(&huge).is_err(), "the length is not believed");
        Ok(())
    }
}
