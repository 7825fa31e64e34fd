//! The silence of a partition: for how long it was asked and had nothing.
//!
//! Time in which nobody asked is no silence of the source: a suspended process, a worker that is busy, reading that waits for
//! the sinks or for another partition. So what counts is the time between two polls in a row that found nothing, and of that
//! no more than the pause that the partition asked for and a little. The clock is monotonic.

use std::time::Duration;

/// The time that the gap between two polls may count beyond the pause that the partition asked for.
const SLACK: Duration = Duration::from_millis(100);
/// A gap longer than the pause and this is a stall: what was known of the source before is out of date.
const STALL: Duration = Duration::from_secs(1);

/// The silence of one partition.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// The time of the last poll without a record, and the pause that the poll returned.
    asked: Option<(Duration, Duration)>,
    /// True if the last gap was a stall.
    stalled: bool,
    total: Duration,
}

impl Silence {
    /// It was asked at `now` and had nothing; it is asked again after `pause`. Returns how long it has been silent.
    pub(super) fn nothing(&mut self, now: Duration, pause: Duration) -> Duration {
        if let Some((asked, pause)) = self.asked.replace((now, pause)) {
            let gap = now.saturating_sub(asked);
            let stalls = gap > pause.saturating_add(STALL);
            if stalls && !self.stalled {
                self.total = Duration::ZERO;
            } else {
                // Where each gap is a stall the pipeline is slow, and what is silent must become idle all the same.
                self.total = self.total.saturating_add(gap.min(pause.saturating_add(SLACK)));
            }
            self.stalled = stalls;
        }
        self.total
    }

    /// It was not polled, or its poll failed or was pending: the time until the next poll does not count.
    pub(super) fn unknown(&mut self) {
        self.asked = None;
    }

    /// It had something.
    pub(super) fn broken(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn only_time_between_two_polls_that_found_nothing_counts() {
        let mut silence = Silence::default();
        assert_eq!(silence.nothing(ms(50_000), ms(10)), ms(0), "nobody had asked before");
        assert_eq!(silence.nothing(ms(50_012), ms(10)), ms(12));
        silence.unknown();
        assert_eq!(silence.nothing(ms(50_900), ms(10)), ms(12), "it was not asked in between");
        assert_eq!(silence.nothing(ms(50_910), ms(10)), ms(22));
        silence.broken();
        assert_eq!(silence.nothing(ms(50_920), ms(10)), ms(0));
    }

    #[test]
    fn a_gap_counts_no_more_than_the_pause_and_a_little() {
        let mut silence = Silence::default();
        silence.nothing(ms(0), ms(10));
        assert_eq!(silence.nothing(ms(900), ms(3_000)), ms(110), "a busy worker");
        assert_eq!(silence.nothing(ms(3_900), ms(10)), ms(3_110), "a source that wants to be asked seldom");
        assert_eq!(silence.nothing(ms(3_800), ms(10)), ms(3_110), "a clock that goes back");
        assert_eq!(silence.nothing(ms(3_810), ms(10)), ms(3_120));
        assert_eq!(silence.nothing(ms(4_820), ms(10)), ms(3_230), "a second more than the pause is no stall");
    }

    #[test]
    fn a_stall_begins_anew_and_stalls_in_a_row_add_up() {
        let mut silence = Silence::default();
        silence.nothing(ms(0), ms(10));
        assert_eq!(silence.nothing(ms(10), ms(10)), ms(10));
        assert_eq!(silence.nothing(ms(8_010), ms(10)), ms(0), "suspended for eight seconds");
        assert_eq!(silence.nothing(ms(8_020), ms(10)), ms(10));
        for step in 1..=10 {
            silence.nothing(ms(8_020 + step * 2_000), ms(10));
        }
        assert_eq!(silence.nothing(ms(28_030), ms(10)), ms(9 * 110 + 10), "each gap is a stall");
    }
}
