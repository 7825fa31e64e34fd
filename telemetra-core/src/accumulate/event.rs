use super::{Accumulate, Accumulator};
use crate::Event;

/// An accumulator of events: what a pipeline takes. Implemented for every accumulator that takes `&Event<'_>`.
///
/// ```
/// use telemetra_core::{Count, Event, EventAccumulator};
/// fn count_of<A: EventAccumulator>(events: &[Event<'_>]) -> A::Output {
///     let mut accumulator = A::default();
///     events.iter().for_each(|event| accumulator.add(event));
///     accumulator.finish()
/// }
/// assert_eq!(count_of::<Count>(&[]), 0);
/// ```
#[diagnostic::on_unimplemented(
    message = "the accumulator `{Self}` does not take events",
    note = "implement `Accumulate<&'e Event<'a>>` for it, for all lifetimes; or wrap it in a `Project<P, _>` that picks its inputs out of events"
)]
pub trait EventAccumulator: Accumulator + for<'e, 'a> Accumulate<&'e Event<'a>> {}
impl<A: Accumulator + for<'e, 'a> Accumulate<&'e Event<'a>>> EventAccumulator for A {}
