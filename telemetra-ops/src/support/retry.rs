//! Retries of calls to external systems: their pauses, and what the logs and the status report of them.
//!
//! A call that fails transiently is repeated after a pause that doubles from 10 ms up to 10 s, or after a
//! longer one that the error asks for. The log has the first failure, one reminder a minute, and the recovery.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use telemetra_core::{ExternalError, Retry};

use crate::support::failure::{Failure, chain};

/// The time between two reminders in the log while a failure lasts.
const REMIND: Duration = Duration::from_secs(60);
/// The first pause between two tries, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(10));

/// The transient failures of one operation: a warning at the first and one a minute while they last, and a message when they are over.
/// Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct RetryState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The name of the system that fails, as in "the sink `table`".
    what: String,
    now: Mutex<Option<Episode>>,
    /// Tries that had to be repeated, ever.
    retries: AtomicU64,
}

/// One retry, from the first failure on.
#[derive(Clone, Debug)]
struct Episode {
    since: Instant,
    logged_at: Instant,
    tries: u64,
    error: String,
}

/// A transient failure of a source, a sink or a checkpoint store that is being retried, with pauses that
/// double from 10 ms to 10 s, or longer if the error asks for it. Each pause is cut by up to half at random. A
/// source that is asked for new partitions is asked again at its usual
/// [interval](telemetra_core::Source::refresh_every). The status of the pipeline and of its parts shows the
/// failure until a call succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The time since the first failure.
    pub lasting: Duration,
    /// The number of failed calls in a row, the first included.
    pub tries: u64,
    /// The last error with its causes, in one line.
    pub error: String,
}

/// The message that is due after a try.
#[derive(Debug, PartialEq, Eq)]
enum RetryMessage {
    First,
    Reminder { lasting: Duration, tries: u64 },
    Over { after: Duration, tries: u64 },
}

impl RetryState {
    pub(crate) fn new(what: String) -> Self {
        Self(Arc::new(Inner { what, now: Mutex::new(None), retries: AtomicU64::new(0) }))
    }

    fn now(&self) -> MutexGuard<'_, Option<Episode>> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It failed and will be tried again. Returns how often it has failed in a row.
    pub(crate) fn failed(&self, error: &dyn std::error::Error) -> u64 {
        self.0.retries.fetch_add(1, Ordering::Relaxed);
        let error = chain(error);
        let (word, tries) = self.note(&error, Instant::now());
        let what = &self.0.what;
        match word {
            Some(RetryMessage::Reminder { lasting, tries }) => {
                tracing::warn!(error, tries, ?lasting, "{what} still fails, trying again");
            }
            Some(_) => tracing::warn!(error, "{what} failed, trying again"),
            None => tracing::debug!(target: "telemetra::retry", error, tries, "{what} failed, trying again"),
        }
        tries
    }

    /// It works.
    pub(crate) fn passed(&self) {
        if let Some(RetryMessage::Over { after, tries }) = self.clear(Instant::now()) {
            tracing::info!(tries, ?after, "{} works again", self.0.what);
        }
    }

    fn note(&self, error: &str, now: Instant) -> (Option<RetryMessage>, u64) {
        let mut episode = self.now();
        let Some(episode) = &mut *episode else {
            *episode = Some(Episode { since: now, logged_at: now, tries: 1, error: error.to_owned() });
            return (Some(RetryMessage::First), 1);
        };
        episode.tries += 1;
        episode.error.clear();
        episode.error.push_str(error);
        let due = now.duration_since(episode.logged_at) >= REMIND;
        let word = due.then(|| {
            episode.logged_at = now;
            RetryMessage::Reminder { lasting: now.duration_since(episode.since), tries: episode.tries }
        });
        (word, episode.tries)
    }

    fn clear(&self, now: Instant) -> Option<RetryMessage> {
        let over = self.now().take()?;
        Some(RetryMessage::Over { after: now.duration_since(over.since), tries: over.tries })
    }

    /// `None` if it works.
    pub(crate) fn failing(&self) -> Option<Failing> {
        let failing = |Episode { since, tries, error, .. }: &Episode| Failing {
            lasting: since.elapsed(),
            tries: *tries,
            error: error.clone(),
        };
        self.now().as_ref().map(failing)
    }

    /// The number of tries that had to be repeated, ever.
    pub(crate) fn retries(&self) -> u64 {
        self.0.retries.load(Ordering::Relaxed)
    }
}

/// The reason why it was not tried again.
#[derive(Debug)]
pub(crate) enum RetryError {
    /// It fails for good, or for too long.
    Failed(ExternalError),
    /// The pipeline goes down.
    Down,
}

/// Tries until it succeeds, fails for good, `deadline` has passed, or the pipeline goes down, which it does not hold up.
pub(crate) fn retry_until<T>(
    retry: &RetryState,
    failure: &Failure,
    deadline: Option<Instant>,
    mut attempt: impl FnMut() -> Result<T, ExternalError>,
) -> Result<T, RetryError> {
    let mut tries = 0;
    loop {
        let error = match attempt() {
            Ok(done) => {
                retry.passed();
                return Ok(done);
            }
            Err(error) => error,
        };
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if error.retry() == Retry::Permanent || late {
            return Err(RetryError::Failed(error));
        }
        retry.failed(&error);
        let left =
            deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        tries += 1;
        if failure.pause(pause_after(&error, doubled(tries), left)) {
            return Err(RetryError::Down);
        }
    }
}

/// The time for which a start retries transient failures, so that services may come up in any order.
#[derive(Clone, Debug)]
pub(crate) struct RetryDeadline {
    at: Option<Instant>,
    /// Hears the order to stop.
    failure: Failure,
}

impl RetryDeadline {
    /// From now on for that long.
    pub(crate) fn new(limit: Duration, failure: &Failure) -> Self {
        Self { at: Instant::now().checked_add(limit), failure: failure.clone() }
    }

    /// Tries `attempt`, which logs call `what`, until it succeeds, fails for good, or the time is over.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<T, ExternalError>,
    ) -> Result<T, ExternalError> {
        let stopped = || ExternalError::permanent("the pipeline was ordered to stop");
        let state = RetryState::new(what.to_owned());
        let tried = retry_until(&state, &self.failure, self.at, || {
            if self.failure.is_down() { Err(stopped()) } else { attempt() }
        });
        tried.map_err(|ended| match ended {
            RetryError::Failed(error) => error,
            RetryError::Down => stopped(),
        })
    }
}

/// The pause after the error of a try, the first having the number 1, for those who do not wait for it here.
pub(crate) fn pause_of_try(error: &ExternalError, tries: u64) -> Duration {
    pause_after(error, doubled(tries), Duration::MAX)
}

/// The usual pause after so many tries.
fn doubled(tries: u64) -> Duration {
    let (first, longest) = PAUSES;
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(2_u32.saturating_pow(doublings)).min(longest)
}

/// The pause after an error: the usual one, or longer if the other side asked for it, but not beyond what is `left`.
fn pause_after(error: &ExternalError, pause: Duration, left: Duration) -> Duration {
    error.retry_after().unwrap_or_default().max(jittered(pause)).min(left)
}

/// Between half a pause and all of it, so that many who lost the same server do not all return at once.
fn jittered(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(pause) % 1000;
    pause / 2 + pause.mul_f64(random as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_logged_then_one_a_minute_then_the_end() {
        let retry = RetryState::new("the sink `t`".to_owned());
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        assert_eq!(retry.clear(at(0)), None, "that it works is no news");
        assert_eq!(retry.note("a", at(0)), (Some(RetryMessage::First), 1));
        assert_eq!(retry.note("b", at(59)), (None, 2));
        assert_eq!(retry.failing().map(|failing| (failing.tries, failing.error)), Some((2, "b".to_owned())));
        let reminder = RetryMessage::Reminder { lasting: Duration::from_secs(61), tries: 3 };
        assert_eq!(retry.note("b", at(61)), (Some(reminder), 3));
        assert_eq!(retry.note("b", at(120)), (None, 4), "a minute after the last word");
        let over = RetryMessage::Over { after: Duration::from_secs(125), tries: 4 };
        assert_eq!(retry.clear(at(125)), Some(over));
        assert!(retry.failing().is_none());
        assert_eq!(retry.note("c", at(126)), (Some(RetryMessage::First), 1), "a new retry");
    }

    #[test]
    fn it_is_tried_until_it_works_fails_for_good_takes_too_long_or_the_pipeline_goes_down() {
        let retry = RetryState::new("it".to_owned());
        let failure = Failure::default();
        let mut left = 3;
        let passes = retry_until(&retry, &failure, None, || {
            left -= 1;
            if left > 0 { Err(ExternalError::transient("busy")) } else { Ok("done") }
        });
        assert!(matches!(passes, Ok("done")));
        assert_eq!((retry.retries(), left), (2, 0));

        let for_good = retry_until(&retry, &failure, None, || Err::<(), _>(ExternalError::permanent("full")));
        assert!(matches!(for_good, Err(RetryError::Failed(error)) if error.to_string() == "full"));

        let deadline = Some(Instant::now());
        let late = retry_until(&retry, &failure, deadline, || Err::<(), _>(ExternalError::transient("busy")));
        assert!(matches!(late, Err(RetryError::Failed(error)) if error.to_string() == "busy"));

        let asked = |seconds| ExternalError::transient("busy").with_retry_after(Duration::from_secs(seconds));
        let ever = Duration::MAX;
        assert_eq!(pause_after(&asked(60), PAUSES.0, ever), Duration::from_secs(60));
        assert_eq!(pause_after(&asked(60), PAUSES.0, Duration::from_secs(5)), Duration::from_secs(5));
        assert!(pause_after(&asked(0), PAUSES.1, ever) >= PAUSES.1 / 2, "it does not shorten a pause");

        for (tries, pause) in [(1, 10), (2, 20), (10, 5_120), (11, 10_000), (12, 10_000), (u64::MAX, 10_000)]
        {
            let pause = Duration::from_millis(pause);
            let given = pause_of_try(&ExternalError::transient("busy"), tries);
            assert!((pause / 2..=pause).contains(&given), "{given:?} after {tries} tries");
        }
        assert_eq!(pause_of_try(&asked(60), 1), Duration::from_secs(60));

        let down = retry_until(&retry, &failure, None, || {
            failure.halt();
            Err::<(), _>(ExternalError::transient("busy"))
        });
        assert!(matches!(down, Err(RetryError::Down)));
    }
}
