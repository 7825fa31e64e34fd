//! Positions in the changes of a source.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use telemetra_core::EventTime;

/// A position in the changes of a source: what a follower knows. As text it is the `id` of server-sent
/// events, which browsers send back as `Last-Event-ID`, and the `cursor` of messages.
///
/// ```
/// use telemetra::core::EventTime;
/// use telemetra::http::Position;
/// let position: Position = "6fd1-60000-6431".parse().map_err(|()| "no position")?;
/// assert!(position.has("d1", EventTime(60_000)) && !position.has("d2", EventTime(60_000)));
/// assert_eq!(position.to_string(), "6fd1-60000-6431");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The life of the source: a position in another means nothing.
    pub life: Arc<str>,
    /// The event time.
    pub time: EventTime,
    /// The last key that is known as of that time; `None` if all are.
    pub key: Option<Arc<str>>,
}

impl Position {
    /// Whether it is at or after what was told of a key at a time.
    #[must_use]
    pub fn has(&self, key: &str, time: EventTime) -> bool {
        time < self.time || (time == self.time && self.key.as_ref().is_none_or(|last| key <= &**last))
    }

    /// The time up to which all keys are known; `None` if that is before all times.
    #[must_use]
    pub fn complete(&self) -> Option<EventTime> {
        match self.key {
            None => Some(self.time),
            Some(_) => self.time.0.checked_sub(1).map(EventTime),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.life, self.time.0)?;
        let Some(key) = &self.key else { return Ok(()) };
        f.write_str("-")?;
        key.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let (life, time) = (parts.next().ok_or(())?, parts.next().ok_or(())?);
        let key = parts.next().map(unhex).transpose()?;
        let is_number = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
        if life.is_empty() || !is_number || parts.next().is_some() {
            return Err(());
        }
        Ok(Self { life: life.into(), time: EventTime(time.parse().map_err(|_| ())?), key })
    }
}

/// The text whose bytes are written in hexadecimal.
pub(in crate::http) fn unhex(text: &str) -> Result<Arc<str>, ()> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
    // What is no text is of no cursor of ours, and stands for no key.
    Ok(String::from_utf8_lossy(&bytes.ok_or(())?).into())
}
