//! The keys of groupings: the events' own, or what a closure makes of an event.

use telemetra_core::{Event, Events, Key};

/// Says what the key of an event is.
#[doc(hidden)]
pub trait KeyOf<E: Events, K: Key>: Send + Sync + 'static {
    /// Calls `with` with the key of an event.
    fn with<T>(&self, event: &E::Of<'_>, with: impl FnOnce(K::Ref<'_>) -> T) -> T;
}

/// The key that the events themselves name.
#[doc(hidden)]
#[derive(Copy, Clone, Debug)]
pub struct OwnKey;

impl<E: Events> KeyOf<E, E::Key> for OwnKey {
    #[inline]
    fn with<T>(&self, event: &E::Of<'_>, with: impl FnOnce(<E::Key as Key>::Ref<'_>) -> T) -> T {
        with(event.key())
    }
}

/// The key that a closure makes.
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
