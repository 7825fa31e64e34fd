//! The numbers that aggregates accept: integers, and floats in fixed point.

use crate::column::{ColumnKind, Value};
use crate::micro::Micro;

/// A number whose sums do not depend on order: an integer, or a float that is converted to a [`Micro`].
///
/// Implemented for integers of up to 64 bits, `f32`, `f64` and [`Micro`]. A float keeps six decimals; NaN
/// counts as 0. A number out of range counts as the least or the greatest [`i64`].
///
/// # Contract
///
/// * **Monotonic.** A greater number has at least as many [`units`](Self::units), so that least and greatest
///   values are right.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number that can be aggregated",
    note = "give an integer, a float (kept with six decimals) or a `Micro`; \
            aggregates take an `Option` of one too, and pass `None` over"
)]
pub trait Number: Copy + Send + Sync + 'static {
    /// The number of fixed-point units that make one.
    const SCALE: i64;
    /// The kind of a column of such numbers.
    const KIND: ColumnKind;

    /// The number in fixed point.
    fn units(self) -> i64;
}

/// A number that an event may lack: a [`Number`], or an `Option` of one. Aggregates skip `None`.
///
/// ```
/// # struct Reading { celsius: Option<f64> }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = ();
/// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
/// #     fn key(&self) {}
/// # }
/// use telemetra_core::{Accumulator, Aggregate, Aggregates};
/// let mean = Aggregates::<Reading>::new().mean("celsius", |r| r.celsius);
/// let mut state = Default::default();
/// for celsius in [Some(20.0), None, Some(22.0)] {
///     Aggregate::<Reading>::add(&mean, &mut state, &Reading { celsius });
/// }
/// assert_eq!(state.finish().mean(1_000_000), Some(21.0));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number that can be aggregated",
    note = "give an integer, a float (kept with six decimals), a `Micro`, or an `Option` of one"
)]
pub trait MaybeNumber: Copy + Send + Sync + 'static {
    /// The type of the number.
    type Number: Number;

    /// The number, if there is one.
    fn number(self) -> Option<Self::Number>;
}

impl<N: Number> MaybeNumber for N {
    type Number = N;

    fn number(self) -> Option<N> {
        Some(self)
    }
}

impl<N: Number> MaybeNumber for Option<N> {
    type Number = N;

    fn number(self) -> Self {
        self
    }
}

/// A number of units as the value of a column.
#[must_use]
pub(super) fn value_of<N: Number>(units: i128) -> Value<'static> {
    match N::KIND {
        ColumnKind::Integer => match i64::try_from(units) {
            Ok(units) => Value::Signed(units),
            Err(_) if units > 0 => Value::Unsigned(u64::try_from(units).unwrap_or(u64::MAX)),
            Err(_) => Value::Signed(i64::MIN),
        },
        _ => Value::Float(units as f64 / N::SCALE as f64),
    }
}

macro_rules! integer {
    ($($type:ty),+) => {$(
        impl Number for $type {
            const SCALE: i64 = 1;
            const KIND: ColumnKind = ColumnKind::Integer;

            fn units(self) -> i64 {
                i64::try_from(self).unwrap_or(i64::MAX)
            }
        }
    )+};
}
integer!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

macro_rules! float {
    ($($type:ty),+) => {$(
        impl Number for $type {
            const SCALE: i64 = Micro::SCALE;
            const KIND: ColumnKind = ColumnKind::Float;

            fn units(self) -> i64 {
                Micro::from_f64(self.into()).0
            }
        }
    )+};
}
float!(f32, f64);

impl Number for Micro {
    const SCALE: i64 = Self::SCALE;
    const KIND: ColumnKind = ColumnKind::Float;

    fn units(self) -> i64 {
        self.0
    }
}
