//! Positions in the changes of a source.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use telemetra_core::{EventTime, Shard};

/// A position in the changes of a source, from which a follower resumes: the id of the source's run, the event time up
/// to which all keys are known, and the last key whose changes at that time are known. Its `Display` form is the
/// `cursor` of messages and the `id` of server-sent events, which browsers send back as `Last-Event-ID`; `FromStr`
/// parses it. Clients should treat the text as opaque.
///
/// If a source divides its keys among shards that advance independently, a position has a time for each shard; in the
/// text they are separated by dots.
///
/// ```
/// use telemetra::core::EventTime;
/// use telemetra::http::Position;
/// let position: Position = "6fd1-60000-6431".parse().map_err(|()| "no position")?;
/// assert!(position.has("d1", EventTime(60_000)) && !position.has("d2", EventTime(60_000)));
/// assert_eq!(position.to_string(), "6fd1-60000-6431");
///
/// let shards = [Some(EventTime(60_000)), None];
/// let position = Position::of_shards("6fd1", &shards).after("d2", EventTime(70_000));
/// assert_eq!(position.to_string(), "6fd1-70000.-6432");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The run of the source: a position in another means nothing.
    run: Arc<str>,
    /// The event time that is known of each shard; `None` where there is nothing yet. There is at least one.
    times: Vec<Option<EventTime>>,
    /// The last key that is known as of its shard's time; `None` if all are.
    key: Option<Arc<str>>,
}

impl Position {
    /// Creates the position at which all keys are known up to a time, in the run of a source with this
    /// [id](super::new_run_id).
    #[must_use]
    pub fn new(run: impl Into<Arc<str>>, time: EventTime) -> Self {
        Self::of_shards(run, &[Some(time)])
    }

    /// Creates the position at which the keys of each shard are known up to the shard's time. The shard of a
    /// key is that of a sink ([`Shard::index_of`]).
    #[must_use]
    pub fn of_shards(run: impl Into<Arc<str>>, times: &[Option<EventTime>]) -> Self {
        let times = if times.is_empty() { vec![None] } else { times.to_vec() };
        Self { run: run.into(), times, key: None }
    }

    /// Returns the position after the changes of a key at a time, before which everything of its shard is
    /// known.
    #[must_use]
    pub fn after(mut self, key: impl Into<Arc<str>>, time: EventTime) -> Self {
        let key = key.into();
        let shard = self.shard(&key);
        self.times[shard] = Some(time);
        self.key = Some(key);
        self
    }

    /// Returns the union of two positions of the same run and shards, at which everything is known that is known at
    /// either. If both know a part of the keys at the same time, the part of `self` is kept.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for shard in 0..self.times.len().min(other.times.len()) {
            self = if self.times[shard] < other.times[shard] { self.reaching(shard, other) } else { self };
        }
        self
    }

    /// Returns the position with one shard set to the time that `other` has for it, everything of which is
    /// known.
    #[must_use]
    pub fn reaching(mut self, shard: usize, other: &Self) -> Self {
        if let (Some(time), Some(reached)) = (self.times.get_mut(shard), other.times.get(shard)) {
            *time = *reached;
        }
        if self.last_shard() == Some(shard) {
            self.key = None;
        }
        self
    }

    /// Returns whether both positions are of the same run and shards, and no shard of `self` is after that shard of
    /// `other`.
    #[must_use]
    pub fn is_behind(&self, other: &Self) -> bool {
        self.run == other.run
            && self.times.len() == other.times.len()
            && self.times.iter().zip(&other.times).all(|(time, other)| time <= other)
    }

    /// Returns the shard in which only a part of the keys is known at the shard's time; `None` if there is none.
    #[must_use]
    pub fn last_shard(&self) -> Option<usize> {
        self.key.as_ref().map(|key| self.shard(key))
    }

    /// Returns the id of the source's run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Returns the number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.times.len()
    }

    /// Returns the shard of a key.
    #[must_use]
    pub fn shard(&self, key: &str) -> usize {
        if self.times.len() == 1 { 0 } else { Shard::index_of(key, self.times.len()) }
    }

    /// Returns whether the changes of a key at a time are known at this position.
    #[must_use]
    pub fn has(&self, key: &str, time: EventTime) -> bool {
        let shard = self.shard(key);
        let Some(known) = self.times[shard] else { return false };
        // The last key says nothing of other shards.
        let last = self.key.as_ref().filter(|last| self.shard(last) == shard);
        time < known || (time == known && last.is_none_or(|last| key <= &**last))
    }

    /// Returns the time up to which all keys are known; `None` if that is before all times.
    #[must_use]
    pub fn complete(&self) -> Option<EventTime> {
        self.complete_where(|_| true)
    }

    /// Returns the same as [`complete`](Self::complete), over only those shards of which something is known at
    /// `other`.
    #[must_use]
    pub fn complete_in(&self, other: &Self) -> Option<EventTime> {
        self.complete_where(|shard| other.times.get(shard).is_some_and(Option::is_some))
    }

    fn complete_where(&self, counts: impl Fn(usize) -> bool) -> Option<EventTime> {
        let last = self.last_shard();
        let counted = self.times.iter().enumerate().filter(|(shard, _)| counts(*shard));
        let complete = counted.map(|(shard, time)| match time {
            Some(time) if last == Some(shard) => time.0.checked_sub(1).map(EventTime),
            time => *time,
        });
        complete.min().flatten()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.run)?;
        for (shard, time) in self.times.iter().enumerate() {
            f.write_str(if shard > 0 { "." } else { "" })?;
            time.map_or(Ok(()), |time| write!(f, "{}", time.0))?;
        }
        let Some(key) = &self.key else { return Ok(()) };
        f.write_str("-")?;
        key.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let (run, times) = (parts.next().ok_or(())?, parts.next().ok_or(())?);
        let key = parts.next().map(unhex).transpose()?;
        if run.is_empty() || parts.next().is_some() {
            return Err(());
        }
        let time = |text: &str| match text {
            "" => Ok(None),
            text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(|time| Some(EventTime(time))).map_err(|_| ())
            }
            _ => Err(()),
        };
        let times: Vec<_> = times.split('.').map(time).collect::<Result<_, _>>()?;
        if times == [None] {
            return Err(());
        }
        Ok(Self { run: run.into(), times, key })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_shard_has_its_time_and_one_has_its_last_key() {
        let names: Vec<String> = (0..20).map(|n| format!("d{n:02}")).collect();
        let of = |shard: usize| names.iter().filter(move |name| Shard::index_of(name, 2) == shard);
        let (first, second) = (of(0).nth(1).unwrap(), of(1).next().unwrap());
        let [early, late] = [1_000, 2_000].map(EventTime);
        let position = Position::of_shards("a1", &[Some(early), None]);
        assert!(position.has(first, early) && !position.has(first, late) && !position.has(second, early));
        assert_eq!((position.complete(), position.complete_in(&position)), (None, Some(early)));
        let position = Position::of_shards("a1", &[Some(early), Some(late)]).after(first.as_str(), late);
        assert!(position.has(of(0).next().unwrap(), late), "keys before the last are known");
        assert!(!position.has(of(0).nth(2).unwrap(), late) && position.has(of(0).nth(2).unwrap(), early));
        assert!(of(1).all(|key| position.has(key, late)), "all of another shard are known");
        assert_eq!(position.complete(), Some(EventTime(1_999)));

        let ahead = Position::of_shards("a1", &[Some(early), Some(EventTime(3_000))]);
        let both = position.clone().and(&ahead);
        assert_eq!(both.to_string(), position.to_string().replace(".2000", ".3000"));
        assert!(!position.is_behind(&ahead) && ahead.is_behind(&both) && position.is_behind(&both));
        assert_eq!(both.reaching(0, &ahead).to_string(), "a1-1000.3000");
    }

    #[test]
    fn positions_are_read_as_they_are_written() {
        for text in ["a1-7", "a1-7-6431", "a1-7.8", "a1-.8-6431", "a1-.", "a1-0-"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        for text in
            ["", "a1", "a1-", "-7", "a1-x", "a1-7.x", "a1-7-643", "a1-7-6431-", "a1-99999999999999999999"]
        {
            assert_eq!(text.parse::<Position>(), Err(()), "{text}");
        }
    }
}
