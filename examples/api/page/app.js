// The page: which stream is chosen, what state it is in, and who draws it.

import { Connection } from "./connection.js";
import { Emotes } from "./emotes.js";
import { Flow } from "./flow.js";
import { duration, kind, second } from "./format.js";
import { List } from "./list.js";
import { Pulse } from "./pulse.js";
import { Revenue } from "./revenue.js";
import { Sentiment } from "./sentiment.js";
import { Stream } from "./state.js";
import { html } from "./svg.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const LABELS = { connecting: "Connecting", live: "Live", empty: "No data", stale: "Stale", failed: "Offline" };

let token = sessionStorage.getItem("token");
let stream = null;
let connection = null;
let state = { name: "connecting", detail: "" };
let drawing = false;

const parts = [
  new Pulse($("pulse")), new Sentiment($("sentiment")), new Revenue($("revenue")),
  new Flow($("flow"), document.querySelectorAll(".spans button")), new Emotes($("emotes")), new Timeline($("moments")),
];

async function ask(path) {
  let response;
  try {
    response = await fetch(path, { headers: token ? { authorization: `Bearer ${token}` } : {}, signal: AbortSignal.timeout(8000) });
  } catch {
    throw new Error("The service cannot be reached");
  }
  if (response.status === 401) {
    login();
    throw new Error("A token is needed");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.detail ?? `The service answered ${response.status}`);
  return body;
}

function login() {
  if ($("login").open) return;
  $("login").showModal();
  $("login").onclose = () => {
    token = $("token").value.trim();
    sessionStorage.setItem("token", token);
    $("token").value = "";
    list.again();
    choose(chosen(), true);
  };
}

const list = new List({
  ask,
  onList: (streams) => {
    // Where something happens is the place to begin.
    const first = streams.find((stream) => stream.open_moments > 0) ?? streams[0];
    if (!chosen() && first) location.replace(`#${encodeURIComponent(first.stream_id)}`);
  },
});

const chosen = () => decodeURIComponent(location.hash.slice(1));

function choose(id, anew = false) {
  if (!id || (!anew && stream?.id === id)) return;
  connection?.close();
  stream = new Stream(id, announce);
  stream.maxChance = Number($("max-chance").value);
  list.mark(id);
  menu(false);
  parts.forEach((part) => part.clear?.());
  connection = new Connection(`/live/${encodeURIComponent(id)}`, { token, onMessage: receive, onState: enter });
  draw();
}

function receive(message) {
  stream.apply(message);
  draw();
}

function announce(news, moment) {
  const at = second(moment.started);
  const words = { opened: "began at", corrected: "was corrected by late events; it began at", withdrawn: "was withdrawn by late events; it had begun at" };
  $("announcer").textContent = `${kind(moment.moment_type).label} ${words[news]} ${at}`;
}

function enter(name, detail = "") {
  state = { name, detail };
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
  const hasData = stream !== null && stream.windows.length > 0;
  const name = state.name === "live" && !stream?.current ? "empty" : state.name;
  const pill = $("connection");
  if (pill.dataset.state !== name) {
    pill.dataset.state = name;
    pill.textContent = LABELS[name];
  }
  pill.title = state.detail;
  $("cards").dataset.state = hasData ? name : name === "live" ? "empty" : name;
  notice(name, hasData);
  if (!stream) return;
  const info = stream.info;
  $("name").textContent = info?.name ?? stream.id;
  document.title = `${info?.name ?? stream.id} · ${document.querySelector(".brand span").textContent}`;
  const isLive = info?.is_live ?? Boolean(stream.current);
  const began = info?.started_at ? `live for ${duration(Math.max(0, stream.asOf - Date.parse(info.started_at)))}` : "live";
  $("about").replaceChildren(...[info?.title, info?.category].filter(Boolean).map((text) => html("span", {}, text)),
    html("span", { class: isLive ? "on" : "off" }, isLive ? began : "offline"));
  $("as-of").textContent = stream.asOf ? `as of ${second(stream.asOf)}` : "";
  parts.forEach((part) => part.draw(stream));
}

function notice(name, hasData) {
  const silent = hasData ? "No events in the last minute. What you see is the past." : "Nothing is known of this stream yet. It appears here with its first event.";
  const text = {
    connecting: hasData ? "" : "Waiting for the first answer…",
    empty: silent,
    stale: `${state.detail || "The connection was lost"}. What you see may be out of date; trying again.`,
    failed: `${state.detail}. Trying again by itself.`,
  }[name];
  const box = $("notice");
  box.hidden = !text;
  box.dataset.state = name;
  if (text && box.dataset.text !== text) {
    box.dataset.text = text;
    const button = html("button", { type: "button", class: "ghost" }, "Try now");
    button.onclick = () => connection?.open();
    box.replaceChildren(html("span", {}, text), ...(name === "failed" ? [button] : []));
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
$("max-chance").onchange = () => {
  if (stream) stream.maxChance = Number($("max-chance").value);
  draw();
};
addEventListener("hashchange", () => choose(chosen()));
// Times pass also when nothing comes.
setInterval(draw, 5000);
choose(chosen());
draw();
