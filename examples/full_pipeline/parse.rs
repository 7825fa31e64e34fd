//! From the text of a setting to its value. Errors say what is wrong with the value; whose it is, the caller adds.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A whole number in a range; `_` may part its digits.
pub(crate) fn number<N>(text: &str, range: RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    let value = text.replace('_', "").parse().ok().filter(|value| range.contains(value));
    value.ok_or_else(|| format!("`{text}` is no whole number from {} to {}", range.start(), range.end()))
}

/// A share.
pub(crate) fn ratio(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| format!("`{text}` is no number from 0 to 1"))
}

/// A length of time: a number of seconds, or of `ms`, `s`, `m` or `h`.
///
/// Lengths beyond a year are left for the library to refuse.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let seconds = digits.trim().parse::<f64>().map(|number| number * unit).ok();
    let span = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    span.ok_or_else(|| format!("`{text}` is no time; give seconds, or a number and ms, s, m or h"))
}

/// `off`, or a value.
pub(crate) fn optional<T>(
    text: &str,
    value: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if text == "off" { Ok(None) } else { value(text).map(Some) }
}

/// On or off.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    let on = ["true", "on", "yes", "1"].map(|on| (on, true));
    let off = ["false", "off", "no", "0"].map(|off| (off, false));
    choice(text, &[on, off].concat()).map_err(|_| format!("`{text}` is neither `on` nor `off`"))
}

/// One of some words.
pub(crate) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("`{text}` is none of {}", names()))
}

/// How many letters must be put in, taken out or changed to make one word of the other.
pub(crate) fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.bytes().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}
