//! Accumulators over a part of their input.

use std::fmt::{self, Debug};
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::{Accumulate, Accumulator, Sliding};

/// A function from an input to the values in it, as a type: [`Project`] names it, so that a composed
/// accumulator can be written as a type. Implement it for a type without fields.
///
/// # Contract
///
/// * **Pure.** The same input gives the same values.
///
/// For inputs that borrow, `&'e Event<'a>`, values with the lifetime `'a` work everywhere. The compiler does
/// not accept some types with both lifetimes, such as `slice::Iter<'e, &'a str>`, where a pipeline asks for
/// all lifetimes.
pub trait Pick<I>: 'static {
    /// The values: an `Option` for at most one, any iterator for several.
    type Picked: IntoIterator;

    /// The values in `input`.
    fn pick(input: I) -> Self::Picked;
}

/// The accumulator `A` over the values that `P` picks from each input.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, Count, Distinct, Pick, Project, TopK};
///
/// struct Reading<'a> { device: &'a str, tags: &'a [&'a str], ok: bool }
///
/// /// A unit value for each reading that failed.
/// struct Failures;
/// impl<'e, 'a> Pick<&'e Reading<'a>> for Failures {
///     type Picked = Option<()>;
///     fn pick(reading: &'e Reading<'a>) -> Option<()> {
///         (!reading.ok).then_some(())
///     }
/// }
///
/// struct Device;
/// impl<'e, 'a> Pick<&'e Reading<'a>> for Device {
///     type Picked = Option<&'a str>;
///     fn pick(reading: &'e Reading<'a>) -> Option<&'a str> {
///         Some(reading.device)
///     }
/// }
///
/// struct Tags;
/// impl<'e, 'a> Pick<&'e Reading<'a>> for Tags {
///     type Picked = std::iter::Copied<std::slice::Iter<'a, &'a str>>;
///     fn pick(reading: &'e Reading<'a>) -> Self::Picked {
///         reading.tags.iter().copied()
///     }
/// }
///
/// type Mine = (Project<Failures, Count>, Project<Device, Distinct>, Project<Tags, TopK<3>>);
/// let mut mine = Mine::default();
/// mine.add(&Reading { device: "d1", tags: &["lab", "lab"], ok: false });
/// let (failures, devices, tags) = mine.finish();
/// assert_eq!((failures, devices, tags[0].count), (1, 1, 2));
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

/// The sliding form of [`Project`], made of the sliding form of its accumulator.
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
