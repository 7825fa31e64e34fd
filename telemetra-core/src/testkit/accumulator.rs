//! The compliance suite of accumulators.

use std::collections::VecDeque;
use std::fmt::Debug;

use crate::aggregate::{Accumulate, Accumulator, Sliding};

/// The number of random splits of the inputs.
const ROUNDS: usize = 24;

/// Checks that an accumulator keeps the contract of [`Accumulator`], on inputs of your choice: take some
/// dozens, with repetitions and extremes.
///
/// The suite checks that the output does not depend on the order of adding, the split, or the order of
/// merging; that finishing changes nothing; that each partial is the same after encoding and decoding by
/// `bincode`; and that the sliding form equals merging its panes anew. The same inputs are always checked in
/// the same way.
///
/// # Panics
///
/// If the contract is broken. The message names the clause.
///
/// ```
/// use telemetra_core::testkit::accumulator_compliance;
/// use telemetra_core::{Count, Max, Sum};
/// accumulator_compliance::<(Count, Sum, Max<i64>), i64>(&[3, -7, 0, 3, i64::MAX, i64::MIN]);
/// ```
pub fn accumulator_compliance<A, I>(inputs: &[I])
where
    A: Accumulate<I>,
    I: Copy,
{
    let mut random = Random(0x5eed);
    let expected = fold::<A, I>(inputs);
    let output = expected.finish();

    same::<A>(&expected.finish(), &output, "finishing twice gives different outputs");
    let mut merged = A::default();
    same::<A>(&merged.finish(), &A::default().finish(), "two empty ones finish differently");
    merged.merge(&expected);
    same::<A>(&merged.finish(), &output, "merging into an empty one changes the output");
    merged.merge(&A::default());
    same::<A>(&merged.finish(), &output, "merging an empty one changes the output");

    for _ in 0..ROUNDS {
        let mut shuffled = inputs.to_vec();
        random.shuffle(&mut shuffled);
        same::<A>(&fold::<A, I>(&shuffled).finish(), &output, "the output depends on the order of adding");

        let parts = 1 + random.below(6);
        let mut partials = vec![A::default(); parts];
        for &input in &shuffled {
            let part = random.below(parts);
            partials[part].add(input);
            // Finishing in between must leave no trace.
            drop(partials[part].finish());
        }
        let decoded: Vec<A> = partials.iter().map(round_trip).collect();
        merge_in_any_order(
            partials,
            &mut random,
            &output,
            "the output depends on the split or the order of merging",
        );
        merge_in_any_order(decoded, &mut random, &output, "what was encoded and decoded merges differently");

        // Adding commutes with merging.
        let at = random.below(inputs.len() + 1);
        let mut half = fold::<A, I>(&shuffled[at..]);
        half.merge(&fold::<A, I>(&shuffled[..at / 2]));
        shuffled[at / 2..at].iter().for_each(|&input| half.add(input));
        same::<A>(&half.finish(), &output, "adding after a merge gives another output");

        slide::<A, I>(&shuffled, &mut random);
    }
}

fn fold<A: Accumulate<I>, I: Copy>(inputs: &[I]) -> A {
    let mut all = A::default();
    inputs.iter().for_each(|&input| all.add(input));
    all
}

/// Merges two random partials until one is left, so that any tree of merges can occur.
fn merge_in_any_order<A: Accumulator>(
    mut partials: Vec<A>,
    random: &mut Random,
    output: &A::Output,
    law: &str,
) {
    while partials.len() > 1 {
        let one = partials.swap_remove(random.below(partials.len()));
        let other = random.below(partials.len());
        partials[other].merge(&one);
    }
    same::<A>(&partials.swap_remove(0).finish(), output, law);
}

/// Pushes and pops random panes, some of them empty; at the end all are popped.
fn slide<A: Accumulate<I>, I: Copy>(inputs: &[I], random: &mut Random) {
    let mut rolling = A::Sliding::default();
    let mut held: VecDeque<A> = VecDeque::new();
    let mut rest = inputs;
    while !(rest.is_empty() && held.is_empty()) {
        if held.is_empty() || (!rest.is_empty() && random.below(5) < 3) {
            let (pane, after) = rest.split_at(random.below(rest.len().min(8) + 1));
            rest = after;
            let pane = fold::<A, I>(pane);
            rolling.push(&pane);
            held.push_back(pane);
        } else if let Some(pane) = held.pop_front() {
            rolling.pop(&pane);
        }
        let mut refolded = A::default();
        held.iter().for_each(|pane| refolded.merge(pane));
        same::<A>(&rolling.finish(), &refolded.finish(), "the sliding form differs from refolding the panes");
    }
}

fn round_trip<A: Accumulator>(partial: &A) -> A {
    let decoded = bincode::serialize(partial).and_then(|bytes| bincode::deserialize::<A>(&bytes));
    match decoded {
        Ok(decoded) => {
            same::<A>(&decoded.finish(), &partial.finish(), "encoding and decoding changes the output");
            decoded
        }
        Err(error) => panic!("{} does not survive bincode: {error}", std::any::type_name::<A>()),
    }
}

#[track_caller]
fn same<A: Accumulator>(found: &A::Output, expected: &A::Output, law: &str)
where
    A::Output: Debug,
{
    assert!(
        found == expected,
        "{} breaks the contract of accumulators: {law}\n   found: {found:?}\nexpected: {expected:?}",
        std::any::type_name::<A>(),
    );
}

/// The random generator SplitMix64, which gives the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
