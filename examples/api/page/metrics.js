// What the charts show: each metric with the kinds of moments that watch it, and how its detector sees it.
//
// The detectors are those of `livestream::default_rules`: z-scores over 8 to 30 windows that share no event.

const perMinute = (window) => 60_000 / (window.end - window.start);

export const METRICS = [
  {
    name: "chat", title: "Chat", unit: "messages a second", types: ["chat_spike"], height: 210, places: 1, fromZero: true,
    value: (window) => window.chat_rate,
    // Of counts the deviation is at least that of independent events.
    sample: (window) => window.chat_count, floor: (mean) => mean + 1, silenceIsZero: true, shown: (count, size) => (count * 1000) / size,
  },
  {
    name: "viewers", title: "Viewers", unit: "viewers", types: ["viewer_surge", "viewer_drop"], height: 130, places: 0,
    value: (window) => window.avg_viewers,
    sample: (window) => window.avg_viewers, floor: (mean) => Math.max(1, mean / 100) ** 2, includesMoments: true,
  },
  {
    name: "transactions", title: "Transactions", unit: "a minute", types: ["donation_surge"], height: 110, places: 0, fromZero: true,
    value: (window) => window.transaction_count * perMinute(window),
    sample: (window) => window.transaction_count, floor: (mean) => mean + 1, silenceIsZero: true, shown: (count, size) => (count * 60_000) / size,
  },
  {
    name: "sentiment", title: "Sentiment", unit: "mean, from −1 to +1", types: ["sentiment_shift"], height: 110, places: 2, signed: true,
    value: (window) => window.sentiment_score,
    // A few messages do not make a mood.
    sample: (window) => (window.chat_count >= 10 ? window.sentiment_score : null), floor: () => 0.05 ** 2,
  },
];
