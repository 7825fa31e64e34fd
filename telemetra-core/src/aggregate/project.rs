use std::fmt::{self, Debug};
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::{Accumulate, Accumulator, Sliding};

/// Picks values out of an input. Implemented by a type without content, so that a pipeline's accumulator
/// can be written down as a type: see [`Project`], and [`pick`](super::pick) for those of events.
///
/// # Contract
///
/// * **Pure.** The same input gives the same values.
pub trait Pick<I>: 'static {
    /// The values: an `Option` for one or none, any iterator for several.
    type Picked: IntoIterator;

    /// The values in `input`.
    fn pick(input: I) -> Self::Picked;
}

/// Gives to the accumulator `A` what `P` picks out of each input.
///
/// ```
/// use telemetra_core::accumulate::{Pick, pick};
/// use telemetra_core::{Accumulate, Accumulator, Count, Distinct, Event, Project, TopK};
///
/// /// Messages by subscribers.
/// struct BySubscribers;
/// impl<'e, 'a> Pick<&'e Event<'a>> for BySubscribers {
///     type Picked = Option<()>;
///     fn pick(event: &'e Event<'a>) -> Option<()> {
///         matches!(event, Event::Chat(chat) if chat.is_subscriber).then_some(())
///     }
/// }
///
/// type Mine = (Project<BySubscribers, Count>, Project<pick::Chatter, Distinct>, Project<pick::Emotes, TopK<3>>);
/// let mut mine = Mine::default();
/// # let header = telemetra_core::Header { event_id: "1", time: Default::default(), stream_id: "s" };
/// # let event = Event::Chat(telemetra_core::ChatMessage {
/// #     header, user_id: "ada", username: "Ada", message: "hi", emotes: &["Kappa", "Kappa"], badges: &[],
/// #     is_subscriber: true, is_moderator: false, sentiment: 0,
/// # });
/// mine.add(&event);
/// let (by_subscribers, chatters, emotes) = mine.finish();
/// assert_eq!((by_subscribers, chatters, emotes[0].count), (1, 1, 2));
/// ```
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "A: Accumulator")]
pub struct Project<P, A> {
    accumulator: A,
    pick: PhantomData<fn() -> P>,
}

impl<P, A: Default> Default for Project<P, A> {
    fn default() -> Self {
        Self { accumulator: A::default(), pick: PhantomData }
    }
}
impl<P, A: Clone> Clone for Project<P, A> {
    fn clone(&self) -> Self {
        Self { accumulator: self.accumulator.clone(), pick: PhantomData }
    }
}
impl<P, A: Debug> Debug for Project<P, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.accumulator.fmt(f)
    }
}

impl<P: 'static, A: Accumulator> Accumulator for Project<P, A> {
    type Output = A::Output;
    type Sliding = ProjectSliding<A::Sliding>;

    fn merge(&mut self, other: &Self) {
        self.accumulator.merge(&other.accumulator);
    }

    fn finish(&self) -> A::Output {
        self.accumulator.finish()
    }
}

impl<I, P, A> Accumulate<I> for Project<P, A>
where
    P: Pick<I>,
    A: Accumulate<<P::Picked as IntoIterator>::Item>,
{
    fn add(&mut self, input: I) {
        for value in P::pick(input) {
            self.accumulator.add(value);
        }
    }
}

/// The sliding form of [`Project`]: that of the accumulator in it.
#[derive(Clone, Debug, Default)]
pub struct ProjectSliding<R>(R);

impl<P: 'static, A: Accumulator, R: Sliding<A>> Sliding<Project<P, A>> for ProjectSliding<R> {
    fn push(&mut self, pane: &Project<P, A>) {
        self.0.push(&pane.accumulator);
    }

    fn pop(&mut self, pane: &Project<P, A>) {
        self.0.pop(&pane.accumulator);
    }

    fn finish(&self) -> A::Output {
        self.0.finish()
    }
}
