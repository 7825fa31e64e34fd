//! Time and windows.

use super::Flag;
use crate::common::parse::{self, boolean, optional, real, span};
use crate::common::settings::put;

pub(super) const FLAGS: &[Flag] = &[
    Flag::new("window", "TIME", "the length of a window [60s]", |s, v| put(&mut s.window, span(v)))
        .known_as("CHAT_WINDOW_DURATION_SECONDS"),
    Flag::new("slide", "TIME", "the time from the begin of a window to that of the next [10s]", |s, v| {
        put(&mut s.slide, span(v))
    })
    .known_as("CHAT_WINDOW_SLIDE_SECONDS"),
    Flag::new(
        "threshold",
        "Z",
        "how unusual a window has to be to make a moment: a z-score [3.0]",
        |s, v| put(&mut s.threshold, real(v)),
    )
    .known_as("ANOMALY_DETECTION_THRESHOLD"),
    Flag::new(
        "chance",
        "SHARE",
        "report moments of which at most this share is chance; 1 reports all [0.1]",
        |s, v| put(&mut s.chance, parse::ratio(v)),
    ),
    Flag::new(
        "short-bursts",
        "",
        "find bursts of chat shorter than a window, in `chat_bursts` [off]",
        |s, v| put(&mut s.short_bursts, boolean(v)),
    ),
    Flag::new("words", "", "say which words of chat carried a moment [off]", |s, v| {
        put(&mut s.words, boolean(v))
    }),
    Flag::new(
        "out-of-orderness",
        "TIME",
        "how far behind the newest an event may be and not be late [10s]",
        |s, v| put(&mut s.time.out_of_orderness, parse::duration(v)),
    ),
    Flag::new(
        "allowed-lateness",
        "TIME",
        "how late an event may be and still correct windows [5m]",
        |s, v| put(&mut s.time.allowed_lateness, parse::duration(v)),
    ),
    Flag::new("max-future-skew", "TIME|off", "how far ahead of the clock an event may be [10m]", |s, v| {
        put(&mut s.time.max_future_skew, optional(v, parse::duration))
    }),
    Flag::new(
        "max-jump",
        "TIME|off",
        "how far ahead of all events before it an event may be [30d]",
        |s, v| put(&mut s.time.max_jump, optional(v, parse::duration)),
    ),
    Flag::new(
        "idle-after",
        "TIME|off",
        "how long a partition without events delays the windows [5s for - and Kafka, else off]",
        |s, v| put(&mut s.idle_after, optional(v, parse::duration).map(Some)),
    ),
    Flag::new("deduplicate", "", "count events of the same id once, within the lateness [on]", |s, v| {
        put(&mut s.time.deduplicate, boolean(v))
    }),
    Flag::new(
        "horizon",
        "TIME",
        "how long results stay in memory [as long as corrections and baselines need]",
        |s, v| put(&mut s.time.horizon, parse::duration(v).map(Some)),
    ),
    Flag::new("lead", "TIME", "how far reading may be ahead of writing, in event time [2m]", |s, v| {
        put(&mut s.lead, span(v))
    }),
];
