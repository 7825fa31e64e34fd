// The operations page: what an operator wants to know at night, in the order in which they ask.

import { ask, onToken } from "./ask.js";
import { count, decimal, duration, moment as at } from "./format.js";
import { Letters } from "./letters.js";
import { html } from "./svg.js";

const EVERY = 5_000;
// Behind by more than this is worth a word.
const BEHIND = 120;
const QUEUE = 32;
const $ = (id) => document.getElementById(id);
const UNKNOWN = "not known here";

const FATES = {
  read: "read", on_time: "on time", late_applied: "late, applied", too_late: "too late", malformed: "malformed",
  from_future: "from the future", duplicate: "duplicate",
};

function bytes(n) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = n < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(n) / 10));
  return `${power === 0 ? count(n) : decimal(n / 1024 ** power)} ${units[power]}`;
}

const known = (value, show = count) => (value === null || value === undefined ? html("span", { class: "unknown" }, UNKNOWN) : show(value));
const time = (text) => known(text, (text) => at(Date.parse(text)));
const seconds = (s) => (s === 0 ? "0 s" : s < 0.001 ? "less than 1 ms" : s < 1 ? `${count(s * 1000)} ms` : duration(s * 1000));
const error = (text) => (text ? html("span", { class: "wrong" }, text) : "none");

// A table whose first column names the row.
function table(label, heads, rows) {
  return html("div", { class: "scroll", role: "region", "aria-label": label, tabindex: 0 },
    html("table", {},
      html("thead", {}, html("tr", {}, heads.map((head) => html("th", { scope: "col" }, head)))),
      html("tbody", {}, rows.map(([first, ...cells]) => html("tr", {}, html("th", { scope: "row" }, first), cells.map((cell) => html("td", {}, cell)))))));
}

// Where the focus is, nothing is replaced under it.
function put(id, facts, make) {
  const node = $(id);
  const drawn = JSON.stringify(facts);
  if (node.dataset.drawn === drawn) return;
  node.dataset.drawn = drawn;
  const focused = node.contains(document.activeElement) && node !== document.activeElement;
  node.replaceChildren(...[make()].flat());
  if (focused) node.querySelector("[tabindex]")?.focus();
}

const hint = (text) => html("p", { class: "hint" }, text);

function state({ idle, ended, silent_seconds: silent }) {
  if (ended) return "ended";
  const since = silent === null || silent < 1 ? "" : `, nothing new for ${seconds(silent)}`;
  return `${idle ? "idle" : "reading"}${since}`;
}

// What is wrong, the worst first; nothing if all is well.
function wrong(ops) {
  const named = (list, what) => (list ?? []).filter((one) => one.error).map((one) => `The ${what} ${one.name} fails: ${one.error}`);
  const queues = ops.sinks.filter((sink) => sink.queued > QUEUE).map((sink) => `The sink ${sink.name} is the bottleneck: ${count(sink.queued)} batches wait for it to write.`);
  const behind = (ops.partitions ?? []).filter((one) => !one.idle && !one.ended && one.behind_seconds > BEHIND)
    .map((one) => `The partition ${one.name} is ${seconds(one.behind_seconds)} behind the others.`);
  return [
    ...(ops.failure ? [`The pipeline has failed: ${ops.failure}`] : []), ...named(ops.sinks, "sink"), ...named(ops.partitions, "partition"),
    ...(ops.checkpoints?.error ? [`Checkpoints fail: ${ops.checkpoints.error}`] : []), ...queues, ...behind,
  ];
}

// What operators do, by the first word of their name. Those of one's own have none.
const WORK = {
  Ingest: "reads, decodes and sums up events", Deliver: "hands changes to the sinks", Dataflow: "passes progress between operators",
  windows: "makes windows of panes", moments: "compares windows with what is usual", changes: "finds what changed in a table",
  streams: "keeps what is known of each stream", Stamp: "gives rows their time", FlatMap: "picks out rows",
};
const does = (name) => WORK[name.split(" ")[0]] ?? "";

function show(ops) {
  $("as-of").textContent = ops.as_of ? `answers as of ${at(Date.parse(ops.as_of))}` : "no answers yet";
  const faults = wrong(ops);
  $("verdict").hidden = false;
  $("verdict").dataset.state = faults.length > 0 ? "failed" : "well";
  put("verdict", faults, () => (faults.length > 0 ? html("ul", {}, faults.map((fault) => html("li", {}, fault))) : html("span", {}, "No problems found.")));
  const lag = ops.durable ? Math.max(0, (Date.now() - Date.parse(ops.durable)) / 1000) : null;
  const facts = [
    ["Pipeline", ops.pipeline === "here" ? "in this process" : "in another process, read from its tables"],
    ["Durable up to", time(ops.durable)], ["Behind real time", known(lag, seconds)], ["State, estimated", known(ops.state_bytes, bytes)],
    ...Object.entries(ops.fates).map(([fate, n]) => [`Events ${FATES[fate] ?? fate}`, count(n)]),
    ...(ops.moments ?? []).map((one) => ["Moments an hour", `${decimal(one.found_per_hour)}, ${decimal(one.expected_per_hour)} of them expected by chance`]),
    ["Version", ops.version],
  ];
  put("facts", [ops.durable, Math.round(lag ?? 0), ops.fates, ops.state_bytes, ops.moments], () => facts.map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value))));
  put("partitions", ops.partitions, () => (ops.partitions === null ? hint(`${UNKNOWN}: the pipeline runs in another process, which does not store the state of its partitions.`) : table("Partitions",
    ["Partition", "State", "Records waiting", "Behind the others", "Watermark", "Events read", "Retries", "Error"],
    ops.partitions.map((one) => [one.name, state(one), known(one.lag_records), one.ended ? "–" : seconds(one.behind_seconds), time(one.watermark), count(one.read), count(one.retries), error(one.error)]))));
  put("sinks", ops.sinks, () => (ops.sinks.length === 0 ? hint("No sinks.") : table("Sinks",
    ["Sink", "Shard", "Durable up to", "Batches queued", "Changes written", "Last write", "Retries", "Error"],
    ops.sinks.map((one) => [one.name, String(one.shard), time(one.durable), known(one.queued), known(one.changes),
      known(one.last_changes, (n) => `${count(n)} changes in ${seconds(one.last_seconds)}`), known(one.retries), one.queued === null ? known(null) : error(one.error)]))));
  put("checkpoints", ops.checkpoints, () => (ops.checkpoints === null
    ? hint(ops.pipeline === "here" ? "This pipeline writes no checkpoints: after a restart it reads its input again." : "This database has no checkpoints; the pipeline may store them in another place.")
    : table("Checkpoints", ["Newest complete", "Age", "Completed", ops.pipeline === "here" ? "Bytes written" : "Bytes stored", "Error"],
      [[time(ops.checkpoints.boundary), known(ops.checkpoints.age_seconds, seconds), known(ops.checkpoints.completed), bytes(ops.checkpoints.bytes), error(ops.checkpoints.error)]])));
  const total = (ops.operators ?? []).reduce((sum, one) => sum + one.busy_seconds, 0);
  put("operators", ops.operators, () => (ops.operators === null ? hint(`${UNKNOWN}: the pipeline runs in another process.`) : table("Time by operator", ["Operator", "What it does", "Time", "Share"],
    ops.operators.slice(0, 12).map((one) => [one.name, does(one.name), seconds(one.busy_seconds), `${decimal((100 * one.busy_seconds) / (total || 1))} %`]))));
  put("log", ops.log, () => (ops.log.length === 0 ? hint("The log is empty.") : html("ol", {}, ops.log.map((line) =>
    html("li", { "data-level": line.level }, html("time", { datetime: line.time }, at(Date.parse(line.time))), " ", html("b", {}, line.level), " ", line.text)))));
}

const letters = new Letters(ask);
let next;

async function again() {
  clearTimeout(next);
  try {
    show(await ask("/ops"));
    await letters.refresh();
    $("notice").hidden = true;
  } catch (problem) {
    $("notice").hidden = false;
    $("notice").textContent = `${problem.message}. Trying again automatically.`;
  }
  next = setTimeout(again, EVERY);
}

onToken(again);
again();
