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
    this.type = "";
    this.chosen = null;
    // Where the charts begin and end; null: the last `span` milliseconds.
    this.range = null;
    this.span = 1_800_000;
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

  // The newest window, if it ended less than a window ago. Of the past: that of the chosen moment's peak, or the last.
  get current() {
    const latest = this.latest;
    if (this.range) {
      const at = Math.min(this.moments.get(this.chosen)?.peak ?? this.asOf, this.asOf);
      return this.windows.findLast((window) => window.end <= at) ?? null;
    }
    return latest && this.asOf - latest.end < latest.end - latest.start ? latest : null;
  }

  // What the charts show.
  get view() {
    return this.range ?? { from: (this.asOf ?? 0) - this.span, to: this.asOf ?? 0 };
  }

  // `live`; `silent` where it started and did not end, but has no events; `offline`.
  get presence() {
    const isLive = this.info?.is_live ?? null;
    if (isLive === false || (isLive === null && !this.current)) return "offline";
    return this.current ? "live" : "silent";
  }

  // When it last had an event, to within a window.
  get silentSince() {
    return this.latest?.start ?? time(this.info?.silent_since ?? this.info?.updated_at);
  }

  since(from) {
    return this.windows.filter((window) => window.end >= from);
  }

  // Windows that share no event: one for each whole minute, if windows are minutes.
  disjoint(from) {
    return this.since(from).filter((window) => window.end % (window.end - window.start) === 0);
  }

  // Moments of the kind asked for of which little enough is chance, newest first, also of other times than are shown.
  get likely() {
    return [...this.moments.values()].filter((moment) => this.isLikely(moment)).sort((a, b) => b.started - a.started);
  }

  // Those of the time that is shown.
  get told() {
    return this.likely.filter((moment) => this.isInView(moment));
  }

  // Those of which nothing is known yet are told, too.
  isLikely({ chance, moment_type: type, moment_id: id }) {
    return id === this.chosen || ((chance ?? 0) <= this.maxChance && this.isOfType(type));
  }

  isOfType(type) {
    return !this.type || this.type === type;
  }

  isInView({ moment_id: id, started, ended }) {
    const { from, to } = this.view;
    return !this.range || id === this.chosen || (started <= to && (ended ?? to) >= from);
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
    while (!this.range && this.windows.length > 0 && this.windows[0].end < this.asOf - 7_200_000) this.windows.shift();
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
    if (news && this.isLikely(moment)) this.onNews(news, moment);
  }
}
