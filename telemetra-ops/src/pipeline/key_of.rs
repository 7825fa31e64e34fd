//! The key functions of groupings: the events' own key, or a closure.

use telemetra_core::{Event, Events, Key};

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
