// The overview: all streams at a glance, and what happened in them.

import { ask, onToken } from "./ask.js";
import { Found } from "./found.js";
import { compact, decimal, second } from "./format.js";
import { html } from "./svg.js";
import { Tiles } from "./tiles.js";
import { onState } from "./url.js";

const EVERY = 5_000;
const $ = (id) => document.getElementById(id);

// Addresses of old had the stream behind a `#`.
if (location.hash.length > 1 && location.hash !== "#main") location.replace(`/stream?id=${location.hash.slice(1)}`);

const tiles = new Tiles(() => again());
const found = new Found(() => again());
let next;
let asked = 0;

async function again() {
  clearTimeout(next);
  asked += 1;
  const mine = asked;
  try {
    const [glance, moments] = await Promise.all([ask(`/overview?limit=${tiles.limit}`), ask(found.question())]);
    if (mine !== asked) return;
    const streams = new Map(glance.streams.map(({ stream }) => [stream.stream_id, stream]));
    totals(glance.totals);
    $("as-of").textContent = glance.as_of ? `as of ${second(Date.parse(glance.as_of))}` : "";
    tiles.show(glance);
    found.show(moments, streams);
    notice("");
  } catch (error) {
    if (mine !== asked) return;
    notice(`${error.message}. Trying again automatically.`);
  }
  next = setTimeout(again, EVERY);
}

function notice(text) {
  $("notice").hidden = !text;
  if ($("notice").textContent !== text) $("notice").textContent = text;
}

function totals({ streams, live, silent, viewers, chat_rate: rate, open_moments: open }) {
  const other = [silent ? `${silent} silent` : "", `${streams} known`].filter(Boolean).join(", ");
  const items = [
    ["Live streams", String(live), other], ["Viewers", compact(Math.round(viewers)), "in all live streams"],
    ["Messages a second", decimal(rate), "in all live streams"], ["Open moments", String(open), "going on now"],
  ];
  $("totals").replaceChildren(...items.map(([name, value, note]) =>
    html("div", {}, html("dt", {}, name), html("dd", { class: "big" }, value), html("dd", { class: "note" }, note))));
}

onState(() => {
  tiles.aim();
  again();
});
onToken(again);
again();
