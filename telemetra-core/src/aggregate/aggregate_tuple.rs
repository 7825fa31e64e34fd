//! Aggregates composed in tuples of up to eight.

use crate::aggregate::Accumulator;
use crate::aggregate::by_name::Aggregate;
use crate::column::{Column, Value};
use crate::error::ConfigError;
use crate::read::event::Events;
use crate::time::window::Window;

macro_rules! tuple {
    ($($A:ident $i:tt),+) => {
        impl<Ev: Events, $($A: Aggregate<Ev>),+> Aggregate<Ev> for ($($A,)+) {
            type State = ($($A::State,)+);

            fn check(&self) -> Result<(), ConfigError> {
                $(self.$i.check()?;)+
                Ok(())
            }

            fn add(&self, state: &mut Self::State, event: &Ev::Of<'_>) {
                $(self.$i.add(&mut state.$i, event);)+
            }

            fn columns(&self) -> Vec<Column> {
                let mut columns = Vec::new();
                $(columns.extend(self.$i.columns());)+
                columns
            }

            fn values(
                &self,
                output: &<Self::State as Accumulator>::Output,
                window: Window,
                put: &mut dyn FnMut(Value<'_>),
            ) {
                $(self.$i.values(&output.$i, window, put);)+
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
