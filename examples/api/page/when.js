// Ranges of time that people ask for by name.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

// The last evening and night that is over, or the one before this evening: from 18:00 to 06:00 by the clock on the wall.
function night(now) {
  const end = new Date(now);
  end.setHours(6, 0, 0, 0);
  const start = new Date(end);
  start.setDate(start.getDate() - 1);
  start.setHours(18);
  return { from: start.getTime(), to: end.getTime() };
}

export const WHENS = [
  { name: "open", label: "Open now", range: () => ({}) },
  { name: "hour", label: "Last hour", range: (now) => ({ from: now - HOUR }) },
  { name: "night", label: "Last night", range: night },
  { name: "day", label: "24 hours", range: (now) => ({ from: now - 24 * HOUR }) },
  { name: "week", label: "7 days", range: (now) => ({ from: now - 7 * 24 * HOUR }) },
  { name: "all", label: "All", range: () => ({}) },
];

export const whenOf = (name) => WHENS.find((when) => when.name === name) ?? WHENS[0];

// What of a stream is shown with a moment: enough before it to see what is usual, and how it ended.
export function around(started, ended) {
  const length = (ended ?? started) - started;
  const before = Math.max(15 * MINUTE, length), after = Math.max(10 * MINUTE, length);
  return { from: new Date(started - before).toISOString(), to: new Date((ended ?? started) + after).toISOString() };
}
