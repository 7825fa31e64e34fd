// How numbers, times and names are shown.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const seconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const count = (n) => whole.format(n);
export const compact = (n) => (Math.abs(n) < 10_000 ? whole.format(n) : short.format(n));
export const decimal = (n, places = 1) =>
  n.toLocaleString(undefined, { minimumFractionDigits: places, maximumFractionDigits: places });
export const signed = (n, places = 2) => {
  const text = decimal(Math.abs(n), places);
  const isZero = Number(Math.abs(n).toFixed(places)) === 0;
  return (isZero ? "" : n > 0 ? "+" : "−") + text;
};
export const minute = (ms) => clock.format(ms);
export const second = (ms) => seconds.format(ms);

const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const isToday = (ms) => new Date(ms).toDateString() === new Date().toDateString();
// The time alone where it is of today.
export const moment = (ms) => (isToday(ms) ? second(ms) : `${day.format(ms)}, ${second(ms)}`);
export const date = (ms) => `${day.format(ms)}, ${minute(ms)}`;

// A place in a recording: hours, minutes and seconds.
export function position(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

export function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return s % 60 === 0 ? `${m} min` : `${m} min ${s % 60} s`;
  return m % 60 === 0 ? `${Math.floor(m / 60)} h` : `${Math.floor(m / 60)} h ${m % 60} min`;
}

export function money(amount, currency) {
  if (currency === "bits") return `${compact(amount)} bits`;
  return new Intl.NumberFormat(undefined, { style: "currency", currency, maximumFractionDigits: amount < 1000 ? 2 : 0 })
    .format(amount);
}

// What the built-in rules are called, in words and by what they watch. Rules of one's own go by their name.
export const KINDS = {
  chat_spike: { label: "Chat spike", unit: "messages a minute", mark: "▲", tone: "spike" },
  viewer_surge: { label: "Viewer surge", unit: "viewers", mark: "↑", tone: "surge" },
  viewer_drop: { label: "Viewer drop", unit: "viewers", mark: "↓", tone: "drop" },
  donation_surge: { label: "Donation surge", unit: "transactions a minute", mark: "◆", tone: "donation" },
  sentiment_shift: { label: "Sentiment shift", unit: "", mark: "≈", tone: "mood" },
};

export function kind(type) {
  const label = () => type.replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase());
  return KINDS[type] ?? { label: label(), unit: "", mark: "●", tone: "other" };
}
