//! The key functions of groupings: the events' own key, or a closure.

use telemetra_core::{ConfigError, Event, Events, Key};

/// A function from an event to the key of a grouping. The key may borrow from the event.
#[doc(hidden)]
pub trait KeyOf<E: Events, K: Key>: Send + Sync + 'static {
    /// Calls `with` with the key of an event.
    fn with<T>(&self, event: &E::Of<'_>, with: impl FnOnce(K::Ref<'_>) -> T) -> T;
}

/// The key function that returns the event's own key.
#[doc(hidden)]
#[derive(Copy, Clone, Debug)]
pub struct OwnKey;

impl<E: Events> KeyOf<E, E::Key> for OwnKey {
    #[inline]
    fn with<T>(&self, event: &E::Of<'_>, with: impl FnOnce(<E::Key as Key>::Ref<'_>) -> T) -> T {
        with(event.key())
    }
}

/// The key function that calls a closure.
#[doc(hidden)]
#[derive(Copy, Clone, Debug)]
pub struct ByKey<F>(pub(crate) F);

impl<E: Events, K: Key, F> KeyOf<E, K> for ByKey<F>
where
    F: for<'a> Fn(&E::Of<'a>) -> K + Send + Sync + 'static,
{
    fn with<T>(&self, event: &E::Of<'_>, with: impl FnOnce(K::Ref<'_>) -> T) -> T {
        with((self.0)(event).as_ref())
    }
}

/// Returns the names of key columns: the given ones, or `key`, or `key_1`, `key_2`, … for several columns.
pub(crate) fn key_names(given: Option<&[&'static str]>, number: usize) -> Vec<&'static str> {
    const NUMBERED: [&str; 16] = [
        "key_1", "key_2", "key_3", "key_4", "key_5", "key_6", "key_7", "key_8", "key_9", "key_10", "key_11",
        "key_12", "key_13", "key_14", "key_15", "key_16",
    ];
    match given {
        Some(given) => given.to_vec(),
        None if number == 1 => vec!["key"],
        None => NUMBERED[..number.min(16)].to_vec(),
    }
}

/// Checks that there is one name for each key column.
pub(crate) fn check_key_names(
    table: &str,
    given: Option<&[&'static str]>,
    number: usize,
) -> Result<(), ConfigError> {
    match given {
        Some(given) if given.len() != number => {
            let detail =
                format!("the key of `{table}` has {number} columns, and {} names were given", given.len());
            Err(ConfigError::new("key_columns", detail, "name each column of the key"))
        }
        _ => Ok(()),
    }
}
