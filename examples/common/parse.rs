//! Parsers of setting values. Their errors say what is wrong with the value; the caller adds the name of the
//! setting.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use telemetra::prelude::EventTime;
use tracing::Level;

use super::log::Format;

/// Any text.
pub(crate) fn text<'a, T: From<&'a str>>(text: &'a str) -> Result<T, String> {
    Ok(text.into())
}

/// A whole number in a range; `_` may separate its digits.
pub(crate) fn number<N>(text: &str, range: RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    let value = text.replace('_', "").parse().ok().filter(|value| range.contains(value));
    value.ok_or_else(|| format!("`{text}` is no whole number from {} to {}", range.start(), range.end()))
}

/// A share, from 0 to 1.
pub(crate) fn ratio(text: &str) -> Result<f64, String> {
    real_in(text, 0.0..=1.0)
}

/// A number in a range.
pub(crate) fn real_in(text: &str, range: RangeInclusive<f64>) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| range.contains(value));
    value.ok_or_else(|| format!("`{text}` is no number from {} to {}", range.start(), range.end()))
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

/// A size: a number of bytes, or of `KiB`, `MiB` or `GiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: Option<u64> = match &text[digits.len()..] {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let number = digits.trim().parse::<u64>().ok();
    let bytes = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    bytes.ok_or_else(|| format!("`{text}` is no size; give a whole number of bytes, KiB, MiB or GiB"))
}

/// The word `off`, or a value.
pub(crate) fn optional<T>(
    text: &str,
    value: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if text == "off" { Ok(None) } else { value(text).map(Some) }
}

/// A host and a port.
pub(crate) fn address(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let parts = parts.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    parts.ok_or_else(|| format!("`{text}` is no host and port, as 127.0.0.1:9100"))
}

/// Servers, separated by commas.
pub(crate) fn servers(text: &str) -> Result<String, String> {
    let are_named = text.split(',').all(|server| !server.trim().is_empty());
    are_named
        .then(|| text.to_owned())
        .ok_or_else(|| format!("`{text}` is no list of servers, as a:9092,b:9092"))
}

/// On or off.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    let on = ["true", "on", "yes", "1"].map(|on| (on, true));
    let off = ["false", "off", "no", "0"].map(|off| (off, false));
    choice(text, &[on, off].concat()).map_err(|_| format!("`{text}` is neither `on` nor `off`"))
}

/// One of several words.
pub(crate) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("`{text}` is none of {}", names()))
}

/// A number that need not be whole.
pub(crate) fn real(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .ok_or_else(|| format!("`{text}` is no number"))
}

/// A length of time in milliseconds.
pub(crate) fn span(text: &str) -> Result<u64, String> {
    duration(text).map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// A length of time in milliseconds, within a range of seconds.
pub(crate) fn span_in(text: &str, seconds: RangeInclusive<u64>) -> Result<u64, String> {
    let (least, most) = (*seconds.start(), *seconds.end());
    let fits = |span: &u64| (least * 1000..=most * 1000).contains(span);
    Some(span(text)?).filter(fits).ok_or_else(|| format!("`{text}` is not from {least} s to {most} s"))
}

/// Two lengths of time in milliseconds, the least and the greatest.
pub(crate) fn spans(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once("..").ok_or_else(|| format!("`{text}` is no FROM..TO"))?;
    Ok((span(from)?, span(to)?))
}

/// An instant in RFC 3339.
pub(crate) fn instant(text: &str) -> Result<EventTime, String> {
    let parsed = text.parse::<jiff::Timestamp>().ok();
    let millis = parsed.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    millis.map(EventTime).ok_or_else(|| format!("`{text}` is no time such as 2026-01-31T20:15:00Z"))
}

/// `NAME=VALUE`. The error does not contain the value, which may be a secret.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let pair = pair.ok_or_else(|| "it is no NAME=VALUE".to_owned())?;
    Ok((pair.0.trim().to_owned(), pair.1.to_owned()))
}

/// A level of logging, or `off`.
pub(crate) fn level(text: &str) -> Result<Option<Level>, String> {
    let levels = [
        ("off", None),
        ("error", Some(Level::ERROR)),
        ("warn", Some(Level::WARN)),
        ("warning", Some(Level::WARN)),
        ("info", Some(Level::INFO)),
        ("debug", Some(Level::DEBUG)),
        ("trace", Some(Level::TRACE)),
    ];
    choice(&text.to_lowercase(), &levels)
}

/// The format of the log.
pub(crate) fn format(text: &str) -> Result<Format, String> {
    choice(&text.to_lowercase(), &[("text", Format::Text), ("json", Format::Json)])
}
