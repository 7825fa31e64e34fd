// The page of one stream: its state is the address; the newest comes through a WebSocket, the past from the tables.

import { ask, knownToken, onToken } from "./ask.js";
import { Broadcasts } from "./broadcasts.js";
import { Charts } from "./charts.js";
import { Chosen } from "./chosen.js";
import { Connection } from "./connection.js";
import { Emotes } from "./emotes.js";
import { Exports } from "./exports.js";
import { date, duration, KINDS, kind, moment as at, second } from "./format.js";
import { List } from "./list.js";
import { Moments } from "./moments.js";
import { follow, past } from "./past.js";
import { Pulse } from "./pulse.js";
import { Range } from "./range.js";
import { Revenue } from "./revenue.js";
import { Sentiment } from "./sentiment.js";
import { Stream } from "./state.js";
import { html } from "./svg.js";
import { address, go, onState, state } from "./url.js";

const $ = (id) => document.getElementById(id);
const LABELS = { connecting: "Connecting", live: "Live", empty: "Silent", stale: "Stale", failed: "Offline" };

let live = null;
let earlier = null;
let connection = null;
let link = { name: "connecting", detail: "" };
let drawing = false;
let wanted = "";
let problem = "";

const range = new Range($("range"));
const chosen = new Chosen($("chosen"));
const exports = new Exports($("export"));
const parts = [new Charts($("flow")), new Pulse($("pulse")), new Sentiment($("sentiment")), new Revenue($("revenue")),
  new Emotes($("emotes")), new Moments($("moments"))];

// Where a broadcast began decides where a moment is in it.
const broadcasts = new Broadcasts($("broadcasts"), ask, () => draw());

const list = new List({
  ask,
  onList: (streams) => {
    // Where something happens is the place to begin.
    const first = streams.find((stream) => stream.open_moments > 0) ?? streams[0];
    if (!state().id && first) go({ id: first.stream_id }, { replace: true });
  },
});

// What is shown: a range of the past, or the newest.
const shown = () => earlier ?? live;

function enter(again = false) {
  const { id, from, to, span, moment = null, type = "", max_chance: most = "0.1" } = state();
  $("max-chance").value = most;
  $("type").value = type;
  if (!id) return;
  if (again || live?.id !== id) connect(id);
  list.mark(id);
  const [begin, end] = [Date.parse(from ?? ""), Date.parse(to ?? "")];
  const asked = begin < end ? `${id} ${begin} ${end}` : "";
  if (again || asked !== wanted) {
    wanted = asked;
    earlier = null;
    problem = "";
    parts.forEach((part) => part.clear?.());
    if (asked) look(id, begin, end, asked);
  }
  live.span = Math.min(120, Math.max(1, Number(span) || 30)) * 60_000;
  for (const stream of [live, earlier]) {
    if (stream) Object.assign(stream, { chosen: moment, type, maxChance: Number(most) });
  }
  draw();
}

function connect(id) {
  connection?.close();
  broadcasts.clear();
  live = new Stream(id, announce);
  menu(false);
  connection = new Connection(`/live/${encodeURIComponent(id)}`, { token: knownToken(), onMessage: receive, onState: turn });
}

async function look(id, from, to, asked) {
  // Until it is there, its place is shown.
  earlier = new Stream(id);
  Object.assign(earlier, { range: { from, to }, isLoading: true, pending: [] });
  try {
    const found = await past(ask, id, from, to, announce);
    if (wanted !== asked) return;
    // What came meanwhile may be newer than what was found.
    earlier.pending.forEach((message) => follow(found, message));
    earlier = found;
    enter();
  } catch (error) {
    if (wanted !== asked) return;
    problem = error.message;
    earlier.isLoading = false;
    draw();
  }
}

function receive(message) {
  live.apply(message);
  if (earlier?.isLoading) earlier.pending.push(message);
  else if (earlier) follow(earlier, message);
  draw();
}

function announce(news, moment) {
  const words = { opened: "began at", corrected: "was corrected by late events; it began at", withdrawn: "was withdrawn by late events; it had begun at" };
  $("announcer").textContent = `${kind(moment.moment_type).label} ${words[news]} ${second(moment.started)}`;
}

function turn(name, detail = "") {
  link = { name, detail };
  draw();
}

// Many messages may come at once; they are drawn once.
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    render();
  });
}

function render() {
  const stream = shown();
  const hasData = stream !== null && stream.windows.length > 0;
  const name = link.name === "live" && !live?.current ? "empty" : link.name;
  const pill = $("connection");
  if (pill.dataset.state !== name) {
    pill.dataset.state = name;
    pill.textContent = LABELS[name];
  }
  pill.title = link.detail;
  $("cards").dataset.state = hasData || stream?.range ? (stream?.range && !stream.isLoading ? "past" : name) : name;
  notice(name, hasData);
  if (!live) return;
  about();
  // Of a stream that is not known there is nothing to ask.
  if (live.latest) broadcasts.follow(live.id, String(live.maxChance));
  range.draw(stream);
  const began = broadcast(stream);
  chosen.draw(stream, began);
  exports.draw(stream, began);
  parts.forEach((part) => part.draw(stream));
}

// When the broadcast began that is shown; null if that is not known.
function broadcast(stream) {
  const time = stream.chosen ? stream.moments.get(stream.chosen)?.started : Math.min(stream.view.to, stream.asOf ?? 0);
  const found = broadcasts.at(time ?? 0);
  if (found) return found.is_cut ? null : found.started;
  const started = live.info?.started_at ?? stream.info?.started_at;
  const began = started ? Date.parse(started) : null;
  return began !== null && began <= (time ?? 0) ? began : null;
}

function about() {
  const { info } = live;
  $("name").textContent = info?.name ?? live.id;
  document.title = `${info?.name ?? live.id} · ${document.querySelector(".brand span").textContent}`;
  const { presence } = live;
  const age = (since) => duration(Math.max(60_000, Math.floor((live.asOf - since) / 60_000) * 60_000));
  const words = {
    live: info?.started_at ? `live for ${age(Date.parse(info.started_at))}` : "live",
    silent: live.silentSince ? `silent for ${age(live.silentSince)}` : "silent",
    offline: info?.ended_at ? `ended ${date(Date.parse(info.ended_at))}` : "offline",
  };
  $("about").replaceChildren(...[info?.title, info?.category].filter(Boolean).map((text) => html("span", {}, text)),
    html("span", { class: "presence", "data-presence": presence }, live.asOf ? words[presence] : ""));
  $("as-of").textContent = earlier ? (earlier.current ? `figures as of ${at(earlier.current.end)}` : "") : live.asOf ? `as of ${second(live.asOf)}` : "";
}

function notice(name, hasData) {
  const silent = live?.latest ? "No events in the last minute. The figures shown are from before that." : "No events from this stream yet. Its figures appear here with its first event.";
  const none = earlier && !earlier.isLoading && !hasData ? "There are no events in this time." : "";
  const text = problem ? `${problem}.` : earlier?.isLoading ? "Loading the past…" : none || {
    connecting: hasData ? "" : "Waiting for the first answer…",
    empty: earlier ? "" : silent,
    stale: `${link.detail || "The connection was lost"}. The figures shown may be out of date. Trying again automatically.`,
    failed: `${link.detail}. Trying again automatically.`,
  }[name];
  const box = $("notice");
  box.hidden = !text;
  box.dataset.state = problem ? "failed" : name;
  if (text && box.dataset.text !== text) {
    box.dataset.text = text;
    const button = html("button", { type: "button", class: "ghost" }, "Try now");
    button.onclick = () => (problem ? enter(true) : connection?.open());
    box.replaceChildren(html("span", {}, text), ...(name === "failed" || problem ? [button] : []));
  }
}

function menu(open) {
  document.body.classList.toggle("menu-open", open);
  $("menu").setAttribute("aria-expanded", String(open));
  if (open) $("search").focus();
}

$("menu").onclick = () => menu(!document.body.classList.contains("menu-open"));
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && document.body.classList.contains("menu-open")) {
    menu(false);
    $("menu").focus();
  } else if (event.key === "/" && !typing) {
    event.preventDefault();
    menu(true);
    $("search").focus();
  }
});
$("type").append(html("option", { value: "" }, "all kinds"), ...Object.entries(KINDS).map(([type, { label }]) => html("option", { value: type }, `${label}s`)));
$("type").onchange = () => go({ type: $("type").value });
$("max-chance").onchange = () => go({ max_chance: $("max-chance").value });
onState(() => enter());
onToken(() => {
  list.again();
  enter(true);
});
// Addresses of old had the stream behind a `#`.
if (!state().id && location.hash.length > 1 && location.hash !== "#main") location.replace(address("/stream", { id: decodeURIComponent(location.hash.slice(1)) }));
// Times pass also when nothing comes.
setInterval(draw, 5000);
enter();
draw();
