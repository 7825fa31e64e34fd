//! Exact decimals in the binary format of `numeric`, with digits to the base of 10,000.

use telemetra_core::Decimal;

const BASE: u128 = 10_000;
/// The number of decimals that are shown.
const SCALE: i16 = 6;
// Two digits after the point hold eight decimals, so six of them are shifted by two.
const _: () = assert!(Decimal::SCALE == 1_000_000);

/// Appends a decimal: the number of digits, the exponent of the first, the sign, the shown decimals, and the
/// digits.
pub(super) fn encode(decimal: Decimal, out: &mut Vec<u8>) {
    let units = decimal.0.unsigned_abs();
    let (mut whole, part) = (units / 1_000_000, units % 1_000_000 * 100);
    let mut digits = [part % BASE, part / BASE].map(digit).to_vec();
    while whole > 0 {
        digits.push(digit(whole % BASE));
        whole /= BASE;
    }
    let weight = i16::try_from(digits.len()).unwrap_or(0) - 3;
    let sign: u16 = if decimal.0 < 0 { 0x4000 } else { 0 };
    out.extend(u16::try_from(digits.len()).unwrap_or(0).to_be_bytes());
    out.extend(weight.to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend(SCALE.to_be_bytes());
    for digit in digits.iter().rev() {
        out.extend(digit.to_be_bytes());
    }
}

fn digit(n: u128) -> i16 {
    // Less than 10,000.
    i16::try_from(n).unwrap_or(0)
}
