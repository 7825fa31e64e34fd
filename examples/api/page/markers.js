// Moments as markers for other programs: a table, an edit decision list, and chapters of a video.

import { kind, position } from "./format.js";

const FRAMES = 30;
const COLOURS = { spike: "Red", surge: "Green", drop: "Purple", donation: "Yellow", mood: "Blue", other: "Cyan" };

const two = (n) => String(n).padStart(2, "0");

// Hours, minutes, seconds and frames.
function timecode(ms) {
  const frames = Math.max(0, Math.floor((ms * FRAMES) / 1000));
  const seconds = Math.floor(frames / FRAMES);
  return [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60, frames % FRAMES].map(two).join(":");
}

// A program for tables takes what begins like a formula for one.
function cell(value) {
  const text = value === null || value === undefined ? "" : typeof value === "string" ? value.replace(/^[=+\-@\t\r]/, "'$&") : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const table = (head, rows) => [head, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");

export function csv(moments, began) {
  const head = ["stream_id", "moment_id", "type", "started_at", "ended_at", "into_stream", "value", "usual", "score", "chance"];
  return table(head, moments.map((moment) => [
    moment.stream_id, moment.moment_id, moment.moment_type, moment.started_at, moment.ended_at,
    position(moment.started - began), moment.value, moment.baseline_mean, moment.score, moment.chance,
  ]));
}

// CMX3600: an event for each moment, as markers that DaVinci Resolve reads (`|C |M |D`) and as locators that Avid does (`LOC`).
export function edl(moments, began, title) {
  const events = moments.map((moment, i) => {
    const start = moment.started - began;
    const end = Math.max(start + 1000, (moment.ended ?? moment.started + 60_000) - began);
    const { label, tone } = kind(moment.moment_type);
    const [from, to] = [timecode(start), timecode(end)];
    const name = `${label}, score ${Math.abs(moment.score).toFixed(1)}`;
    const length = Math.floor(((end - start) * FRAMES) / 1000);
    return `${String(i + 1).padStart(3, "0")}  AX       V     C        ${from} ${to} ${from} ${to}\n` +
      ` |C:ResolveColor${COLOURS[tone]} |M:${name} |D:${length}\n* LOC: ${from} ${COLOURS[tone].toUpperCase().padEnd(7)} ${name}\n`;
  });
  return `TITLE: ${title.replace(/[^\x20-\x7e]/g, "_").slice(0, 70)}\nFCM: NON-DROP FRAME\n\n${events.join("\n")}`;
}

// The first chapter has to begin at 0:00, and each has to last 10 seconds.
export function chapters(moments, began) {
  const lines = ["0:00:00 Start"];
  let last = 0;
  for (const moment of moments) {
    const at = moment.started - began;
    if (at - last < 10_000) continue;
    last = at;
    lines.push(`${position(at)} ${kind(moment.moment_type).label}`);
  }
  return `${lines.join("\n")}\n`;
}
