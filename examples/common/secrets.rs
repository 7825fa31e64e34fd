//! The secrets that the settings of this process hold, and text without them.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The text in place of a secret.
pub(crate) const HIDDEN: &str = "***";
/// A secret of letters and digits that is shorter is hidden only as a word of its own: who has the name of the database
/// for a password would not know the log again.
const SHORT: usize = 12;
/// The words that names of secrets contain.
const NAMES: [&str; 6] = ["password", "passwd", "secret", "token", "jaas", "key.pem"];

static KNOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn known() -> MutexGuard<'static, Vec<String>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hides these from now on, in all that [`redact`] is given.
pub(crate) fn hide(values: impl IntoIterator<Item = String>) {
    add(&mut known(), values);
}

/// Text without the secrets of this process, and without what stands where secrets do.
pub(crate) fn redact(text: &str) -> String {
    without(&known(), text)
}

/// Adds secrets to those that are known.
pub(crate) fn add(known: &mut Vec<String>, values: impl IntoIterator<Item = String>) {
    for value in values {
        // As a log in JSON, and a field, would have it.
        let quoted = format!("{value:?}");
        known.extend(
            [quoted[1..quoted.len() - 1].to_owned(), value].into_iter().filter(|value| !value.is_empty()),
        );
    }
    // The longest first, as one may be a part of another.
    known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    known.dedup();
}

/// The secrets in the value of a setting: all of it if it `is_secret`, the user and the password of a URL, and what
/// follows the name of a secret, as in `sasl.password=…`.
pub(crate) fn of_value(value: &str, is_secret: bool) -> Vec<String> {
    let mut found = Vec::new();
    if is_secret {
        found.push(value.to_owned());
    }
    if let Some((name, rest)) = value.split_once('=')
        && NAMES.iter().any(|part| name.to_ascii_lowercase().contains(part))
    {
        found.push(rest.to_owned());
    }
    for part in value.split("://").skip(1) {
        let user = part[..authority(part)].rsplit_once('@').map(|(user, _)| user);
        if let Some((_, password)) = user.and_then(|user| user.split_once(':')) {
            found.push(password.to_owned());
        }
    }
    found
}

/// Text without these secrets, and without what stands where secrets do.
pub(crate) fn without(known: &[String], text: &str) -> String {
    let text = known.iter().fold(text.to_owned(), |text, secret| hidden(&text, secret));
    without_values(&without_users(&text))
}

fn hidden(text: &str, secret: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if secret.len() >= SHORT || !secret.chars().all(is_word) {
        return text.replace(secret, HIDDEN);
    }
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(secret) {
        let (before, after) = (&rest[..at], &rest[at + secret.len()..]);
        let goes_before = if before.is_empty() { &shown } else { before };
        let stands_alone = !goes_before.ends_with(is_word) && !after.starts_with(is_word);
        shown.push_str(before);
        shown.push_str(if stands_alone { HIDDEN } else { secret });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// The length of the authority of a URL, of which this is what follows `://`.
fn authority(part: &str) -> usize {
    part.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(part.len())
}

/// Without user and password in URLs: what is between `://` and `@`.
fn without_users(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part[..authority(part)].rfind('@').map_or(part, |at| &part[at..]);
        shown.push_str("://");
        if rest.len() < part.len() {
            shown.push_str(HIDDEN);
        }
        shown.push_str(rest);
    }
    shown
}

/// Without what follows the name of a secret: `password=…`, `Bearer …`.
fn without_values(text: &str) -> String {
    let mut shown = text.to_owned();
    for name in ["password=", "token=", "secret=", "bearer ", "bearer."] {
        let mut from = 0;
        while let Some(at) = shown[from..].to_ascii_lowercase().find(name) {
            let start = from + at + name.len();
            let is_end = |c: char| c.is_whitespace() || "&,;\"')".contains(c);
            let end = shown[start..].find(is_end).map_or(shown.len(), |end| start + end);
            shown.replace_range(start..end, HIDDEN);
            from = start + HIDDEN.len();
        }
    }
    shown
}
