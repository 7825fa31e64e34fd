//! Tuples of accumulators, which are accumulators: each part takes every input, and the output is the tuple
//! of the parts' outputs.

use super::{Accumulate, Accumulator, Sliding};

macro_rules! tuple {
    ($($A:ident $R:ident $i:tt),+) => {
        impl<$($A: Accumulator),+> Accumulator for ($($A,)+) {
            type Output = ($($A::Output,)+);
            type Sliding = ($($A::Sliding,)+);

            fn merge(&mut self, other: &Self) {
                $(self.$i.merge(&other.$i);)+
            }

            fn finish(&self) -> Self::Output {
                ($(self.$i.finish(),)+)
            }
        }

        impl<Input: Copy, $($A: Accumulate<Input>),+> Accumulate<Input> for ($($A,)+) {
            fn add(&mut self, input: Input) {
                $(self.$i.add(input);)+
            }
        }

        impl<$($A: Accumulator, $R: Sliding<$A>),+> Sliding<($($A,)+)> for ($($R,)+) {
            fn push(&mut self, pane: &($($A,)+)) {
                $(self.$i.push(&pane.$i);)+
            }

            fn pop(&mut self, pane: &($($A,)+)) {
                $(self.$i.pop(&pane.$i);)+
            }

            fn finish(&self) -> ($($A::Output,)+) {
                ($(self.$i.finish(),)+)
            }
        }
    };
}

tuple!(A RA 0);
tuple!(A RA 0, B RB 1);
tuple!(A RA 0, B RB 1, C RC 2);
tuple!(A RA 0, B RB 1, C RC 2, D RD 3);
tuple!(A RA 0, B RB 1, C RC 2, D RD 3, E RE 4);
tuple!(A RA 0, B RB 1, C RC 2, D RD 3, E RE 4, F RF 5);
tuple!(A RA 0, B RB 1, C RC 2, D RD 3, E RE 4, F RF 5, G RG 6);
tuple!(A RA 0, B RB 1, C RC 2, D RD 3, E RE 4, F RF 5, G RG 6, H RH 7);
