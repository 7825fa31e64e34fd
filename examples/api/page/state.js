// What is known of one stream, made of a snapshot and the messages after it.

const time = (text) => (text ? Date.parse(text) : null);

function windowOf(row) {
  return { ...row, start: time(row.window_start), end: time(row.window_end), isCorrected: row.revision > 0 };
}

function momentOf(row) {
  return { ...row, started: time(row.started_at), peak: time(row.peak_at), ended: time(row.ended_at) };
}

// A moment that goes on changes at its end. What changes in what it said before is a correction.
function isCorrection(before, after) {
  const same = before.peak === after.peak;
  const judged = before.score !== after.score || before.value !== after.value || before.baseline_mean !== after.baseline_mean;
  return (same && judged) || after.peak < before.peak || (before.ended !== null && after.ended !== before.ended);
}

export class Stream {
  constructor(id, onNews = () => {}) {
    this.id = id;
    this.onNews = onNews;
    this.maxChance = 1;
    this.clear();
  }

  clear() {
    this.info = null;
    this.asOf = null;
    this.windows = [];
    this.moments = new Map();
  }

  get latest() {
    return this.windows.at(-1) ?? null;
  }

  // The newest window, if it ended less than a window ago.
  get current() {
    const latest = this.latest;
    return latest && this.asOf - latest.end < latest.end - latest.start ? latest : null;
  }

  since(from) {
    return this.windows.filter((window) => window.end >= from);
  }

  // Windows that share no event: one for each whole minute, if windows are minutes.
  disjoint(from) {
    return this.since(from).filter((window) => window.end % (window.end - window.start) === 0);
  }

  // Moments of which little enough is chance, newest first.
  get told() {
    return [...this.moments.values()].filter((moment) => this.isTold(moment)).sort((a, b) => b.started - a.started);
  }

  // Those of which nothing is known yet are told, too.
  isTold({ chance }) {
    return (chance ?? 0) <= this.maxChance;
  }

  apply(message) {
    if (message.as_of) this.asOf = Math.max(this.asOf ?? 0, time(message.as_of));
    if (message.time) this.asOf = Math.max(this.asOf ?? 0, time(message.time));
    this[message.type]?.(message);
  }

  snapshot({ stream, metrics, moments }) {
    this.info = stream;
    this.windows = metrics.map(windowOf);
    // What was corrected while we were away is not told by a snapshot: those withdrawn are simply not in it.
    this.moments = new Map(moments.map((row) => [row.moment_id, momentOf(row)]));
  }

  stream({ stream_id, stream }) {
    this.info = { stream_id, ...this.info, ...stream };
  }

  metrics({ kind, metrics }) {
    const window = windowOf(metrics);
    let at = this.windows.length;
    while (at > 0 && this.windows[at - 1].end > window.end) at -= 1;
    const known = at > 0 && this.windows[at - 1].end === window.end;
    const put = kind === "withdrawn" ? [] : [window];
    this.windows.splice(known ? at - 1 : at, known ? 1 : 0, ...put);
    while (this.windows.length > 0 && this.windows[0].end < this.asOf - 7_200_000) this.windows.shift();
  }

  moment({ kind, moment: row }) {
    const before = this.moments.get(row.moment_id);
    const moment = momentOf(row);
    moment.isWithdrawn = kind === "withdrawn";
    const corrected = before && !before.isWithdrawn && !moment.isWithdrawn && isCorrection(before, moment);
    moment.isCorrected = Boolean(corrected || (before?.isCorrected && !moment.isWithdrawn));
    moment.was = corrected ? before.score : before?.was;
    this.moments.set(row.moment_id, moment);
    const news = moment.isWithdrawn ? "withdrawn" : before?.isWithdrawn || !before ? "opened" : corrected ? "corrected" : null;
    if (news && this.isTold(moment)) this.onNews(news, moment);
  }

  // The usual chat rate at a window: of the disjoint windows before it, as the detector takes them, and what is three deviations
  // away. Null where there are too few.
  baseline(window) {
    const size = window.end - window.start;
    const byEnd = (this.byEnd = this.byEndOf === this.windows.length + ":" + this.latest?.end ? this.byEnd : this.index());
    const counts = [];
    let silent = 0;
    for (let back = 1; back <= 30; back += 1) {
      const sample = byEnd.get(window.end - back * size);
      // Silence counts as zero, but not before the oldest sample.
      if (sample) {
        counts.push(...Array(silent).fill(0), sample.chat_count);
        silent = 0;
      } else silent += 1;
    }
    if (counts.length < 8) return null;
    const mean = counts.reduce((sum, n) => sum + n, 0) / counts.length;
    const spread = counts.reduce((sum, n) => sum + (n - mean) ** 2, 0) / (counts.length - 1);
    const deviation = Math.sqrt(Math.max(spread, mean + 1) * (1 + 1 / counts.length));
    const seconds = size / 1000;
    return { mean: mean / seconds, low: Math.max(0, mean - 3 * deviation) / seconds, high: (mean + 3 * deviation) / seconds };
  }

  index() {
    this.byEndOf = this.windows.length + ":" + this.latest?.end;
    // The first windows of a stream reach back to before it began, and are no measure.
    const [first, second] = this.windows;
    const began = second ? first.end - (second.end - first.end) : 0;
    return new Map(this.windows.filter((window) => window.start >= began).map((window) => [window.end, window]));
  }
}
