// A stream in a range of the past, as the tables have it, and what is corrected in it meanwhile.

import { Stream } from "./state.js";
import { address } from "./url.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
// What a detector compares with: 30 windows before.
const BEFORE = 31 * MINUTE;
export const LONGEST = 7 * 24 * HOUR;
const PAGE = 5000;

export async function past(ask, id, from, to, onNews) {
  const stream = new Stream(id, onNews);
  stream.range = { from, to };
  const path = `/streams/${encodeURIComponent(id)}`;
  const iso = (ms) => new Date(Math.max(0, ms)).toISOString();
  // Whole minutes do where slides would be closer than pixels; they share no event, so that sums stay right.
  const resolution = to - from > 6 * HOUR ? "60" : null;
  const windows = async () => {
    const pages = [];
    let next = iso(to + 1);
    while (next) {
      const page = await ask(address(`${path}/metrics`, { from: iso(from - BEFORE), to: next, resolution, limit: String(PAGE) }));
      pages.unshift(page.metrics);
      next = page.next_to;
    }
    return pages.flat();
  };
  const moments = async () => {
    const pages = [];
    let cursor = null;
    do {
      // One that goes on into the range began before it; what is usual is known without those before; and there is a next.
      const page = await ask(address(`${path}/moments`, { from: iso(from - 6 * HOUR), to: iso(to + 6 * HOUR), limit: "1000", cursor }));
      pages.push(page.moments);
      cursor = page.next_cursor;
    } while (cursor);
    return pages.flat();
  };
  const [info, metrics, found] = await Promise.all([ask(path), windows(), moments()]);
  stream.snapshot({ stream: info, metrics, moments: found });
  place(stream);
  return stream;
}

// Passes on what is told of the range: change by change, or all that a new connection begins with.
export function follow(stream, message) {
  if (message.type === "snapshot") {
    for (const metrics of message.metrics) follow(stream, { type: "metrics", kind: "published", metrics });
    for (const moment of message.moments) follow(stream, { type: "moment", kind: "opened", moment });
    return;
  }
  const { from, to } = stream.range;
  const at = Date.parse(message.metrics?.window_end ?? message.moment?.started_at ?? "");
  if (at >= from - BEFORE && at <= to) {
    stream.apply(message);
    place(stream);
  }
}

// As of the end of the range, or of the last that is known in it.
function place(stream) {
  const { to } = stream.range;
  stream.asOf = Math.min(to, stream.latest?.end ?? to);
}
