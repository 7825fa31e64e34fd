// What is usual for a metric, as its detector takes it: of up to 30 windows before that share no event, and are not part of a
// moment. One value for each whole minute: windows between them have other samples, so a line through all would jump up and
// down with each slide.

const LEAST = 8;
const MOST = 30;
// After a silence of five minutes it is another broadcast, and what was before it says nothing.
const ABSENT = 5 * 60_000;
const THRESHOLD = 3;

// How many deviations out a value has to be with so few samples, for a normal of `z`: Student's t, by Cornish and Fisher.
export function critical(z, freedom) {
  const [a, b, c] = [(z ** 3 + z) / 4, (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96, (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384];
  return z + a / freedom + b / freedom ** 2 + c / freedom ** 3;
}

// [{ end, mean, low, high }] in the units in which the metric is shown, for windows that end so many milliseconds after a whole
// minute.
export function baseline(metric, windows, moments, after = 0) {
  const size = windows.length > 0 ? windows[0].end - windows[0].start : 60_000;
  const whole = windows.filter((window) => window.end % size === after);
  // The first windows of a stream reach back to before it began, and are no samples.
  const slide = windows.length > 1 ? windows[1].end - windows[0].end : size;
  const began = windows.length > 0 ? windows[0].end - (slide < size ? slide : 0) : 0;
  const own = moments.filter((moment) => metric.types.includes(moment.moment_type) && !moment.isWithdrawn);
  // A moment begins with the last pane of its first window, and ends with its last window.
  const isAnomalous = ({ end }) => own.some((moment) => end > moment.started && end <= (moment.ended ?? Infinity));
  const bands = [];
  let samples = [];
  let anomalous = [];
  let last = null;
  for (const window of whole) {
    if (last !== null && window.end - last - size >= ABSENT) [samples, anomalous] = [[], []];
    else if (metric.silenceIsZero && last !== null) {
      for (let end = last + size; end < window.end; end += size) samples.push({ end, value: 0 });
    }
    // What is left out is not made up for by what is older.
    samples = samples.filter(({ end }) => end >= window.end - MOST * size);
    if (samples.length >= LEAST) bands.push({ end: window.end, ...usual(metric, samples.map(({ value }) => value), size) });
    last = window.end;
    const sample = { end: window.end, value: metric.sample(window) };
    if (sample.value === null || window.start < began) continue;
    if (!metric.includesMoments && isAnomalous(window)) {
      anomalous = [...anomalous.filter(({ end }) => end > window.end - MOST * size), sample];
      // Where so much is out of the ordinary, it is the usual.
      if (anomalous.length > MOST / 3) [samples, anomalous] = [anomalous, []];
    } else samples.push(sample);
  }
  return bands;
}

function usual(metric, samples, size) {
  const n = samples.length;
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / n;
  const spread = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0) / (n - 1);
  const reach = critical(THRESHOLD, n - 1) * Math.sqrt(Math.max(spread, metric.floor(mean)) * (1 + 1 / n));
  const shown = metric.shown ?? ((value) => value);
  const low = metric.signed ? mean - reach : Math.max(0, mean - reach);
  return { mean: shown(mean, size), low: shown(low, size), high: shown(mean + reach, size) };
}
