//! Time and windows.

use super::Flag;
use crate::common::parse::{self, boolean, optional, real, span};
use crate::common::settings::put;

pub(super) const FLAGS: &[Flag] = &[
    Flag::new("window", "TIME", "the size of windows [60s]", |s, v| put(&mut s.window, span(v)))
        .known_as("CHAT_WINDOW_DURATION_SECONDS"),
    Flag::new("slide", "TIME", "the slide of windows [10s]", |s, v| put(&mut s.slide, span(v)))
        .known_as("CHAT_WINDOW_SLIDE_SECONDS"),
    Flag::new("threshold", "Z", "the z-score that makes a moment [3.0]", |s, v| {
        put(&mut s.threshold, real(v))
    })
    .known_as("ANOMALY_DETECTION_THRESHOLD"),
    Flag::new(
        "chance",
        "SHARE",
        "trust moments of which at most this share is chance; 1 shows all [0.1]",
        |s, v| put(&mut s.chance, parse::ratio(v)),
    ),
    Flag::new(
        "short-bursts",
        "",
        "find bursts of chat shorter than a window, in `chat_bursts` [off]",
        |s, v| put(&mut s.short_bursts, boolean(v)),
    ),
    Flag::new("out-of-orderness", "TIME", "how far behind events may be and not be late [10s]", |s, v| {
        put(&mut s.time.out_of_orderness, parse::duration(v))
    }),
    Flag::new("allowed-lateness", "TIME", "how late events may be and still revise windows [5m]", |s, v| {
        put(&mut s.time.allowed_lateness, parse::duration(v))
    }),
    Flag::new("max-future-skew", "TIME|off", "how far ahead of the clock events may be [10m]", |s, v| {
        put(&mut s.time.max_future_skew, optional(v, parse::duration))
    }),
    Flag::new(
        "max-jump",
        "TIME|off",
        "how far ahead of all before it an event is believed at once [30d]",
        |s, v| put(&mut s.time.max_jump, optional(v, parse::duration)),
    ),
    Flag::new(
        "idle-after",
        "TIME|off",
        "silence after which a partition holds back nobody [5s for - and Kafka, else off]",
        |s, v| {
            s.idle_after = Some(optional(v, parse::duration)?);
            Ok(())
        },
    ),
    Flag::new("deduplicate", "", "drop events whose id was seen before, within the lateness [on]", |s, v| {
        put(&mut s.time.deduplicate, boolean(v))
    }),
    Flag::new(
        "horizon",
        "TIME",
        "how long summaries stay live [as long as lateness and baselines need]",
        |s, v| put(&mut s.time.horizon, parse::duration(v).map(Some)),
    ),
    Flag::new("lead", "TIME", "how far reading may be ahead of the outputs, in event time [2m]", |s, v| {
        put(&mut s.lead, span(v))
    }),
];
