// One moment, in words: when, how strong, and what carried it.

import { count, decimal, duration, kind, moment as at, money, position, signed } from "./format.js";
import { html } from "./svg.js";
import { address, go, state } from "./url.js";
import { around } from "./when.js";
import { chance, sentence, strength } from "./words.js";

const KNOWN = ["windows", "duration_ms", "side", "carried"];

const percent = (share) => `${decimal(share * 100, share < 0.1 ? 1 : 0)} %`;
const number = (n) => (Number.isInteger(n) || Math.abs(n) >= 10 ? count(n) : decimal(n));

// What the built-in rules say carried a moment, in words and units. Rules of one's own have words of their own.
const PARTS = {
  chatters: (_, value) => `${value(number)} people wrote`,
  messages_each: (_, value) => `${value(number)} messages a person`,
  by_one: (_, value) => `one user wrote ${value(percent)} of messages`,
  word: (name, value) => `“${name}” in ${value(percent)} of messages`,
  emote: (name, value) => `${name} in ${value(percent)} of messages`,
  messages: (name, value) => `${value(percent)} of messages ${name}`,
  viewers: (name, value) => (name === "jump" ? `${value.from(number)}${value(number)} viewers` : `${value(number)} viewers on average`),
  transactions: (_, value) => `${value(number)} transactions`,
  amount: (name, value) => value((amount) => money(amount, name)),
  largest: (name, value) => `the largest ${value((amount) => money(amount, name))}`,
};
const SHARES = ["emote", "word", "messages", "by_one"];
const AMOUNTS = ["amount", "largest"];

function part({ what, name = "", now, usual = null }) {
  const value = (form) => (typeof now === "number" ? form(now) : "an unknown number of");
  value.from = (form) => (usual === null ? "" : `from ${form(usual)} to `);
  const words = PARTS[what]?.(name, value) ?? [what, name, value(number)].filter(Boolean).join(" ");
  const unit = SHARES.includes(what) ? percent : AMOUNTS.includes(what) ? (amount) => money(amount, name) : number;
  const isSaid = what === "viewers" && name === "jump";
  return usual === null || isSaid ? words : `${words} (usually ${unit(usual)})`;
}

function contributors(moment) {
  const list = moment.context?.carried;
  return Array.isArray(list) && list.length > 0 ? [["Carried by", list.map(part).join(", ")]] : [];
}

// What was unusual about the window of the peak, beside the metric itself.
function carried(stream, moment) {
  const size = 60_000;
  const peak = stream.windows.find((window) => window.end === moment.peak);
  if (!peak) return [];
  // As for a baseline: windows that share no event, and are not part of a moment.
  const known = [...stream.moments.values()].filter((one) => !one.isWithdrawn && stream.isLikely(one));
  const isOfOne = ({ end }) => known.some((one) => end > one.started && end <= (one.ended ?? Infinity));
  const before = stream.windows.filter((window) => !isOfOne(window) && window.end <= moment.started - size && window.end > moment.started - 31 * size && (moment.peak - window.end) % size === 0);
  const mean = (pick) => (before.length > 0 ? before.reduce((sum, window) => sum + pick(window), 0) / before.length : null);
  const usual = (value) => (value === null ? "" : ` (usual ${count(value)})`);
  const emotes = peak.top_emotes.slice(0, 3).map(({ name, count: times }) => `${name} ${count(times)}`).join(", ");
  return [
    ["Messages", `${count(peak.chat_count)}${usual(mean((window) => window.chat_count))}`],
    ["People who wrote", `${count(peak.unique_chatters)}${usual(mean((window) => window.unique_chatters))}`],
    ...(emotes ? [["Emotes", emotes]] : []),
    ...(peak.avg_viewers === null ? [] : [["Viewers", `${count(peak.avg_viewers)}${usual(mean((window) => window.avg_viewers ?? 0))}`]]),
    ...(peak.transaction_count ? [["Transactions", `${count(peak.transaction_count)}${usual(mean((window) => window.transaction_count))}`]] : []),
    ...(peak.sentiment_score === null ? [] : [["Sentiment", signed(peak.sentiment_score)]]),
  ];
}

// What the service itself says of it, under whatever names.
function context(moment) {
  const said = Object.entries(moment.context ?? {}).filter(([name]) => !KNOWN.includes(name));
  const text = (value) => (Array.isArray(value) ? value.map(text).join(", ") : value && typeof value === "object" ? Object.values(value).map(text).join(" ") : String(value));
  return said.map(([name, value]) => [name.replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase()), text(value)]);
}

export class Chosen {
  constructor(root) {
    this.root = root;
  }

  clear() {
    this.drawn = null;
  }

  // Of the stream shown, and when its broadcast began, if that is known.
  draw(stream, began) {
    const moment = stream.moments.get(stream.chosen);
    const drawn = JSON.stringify([moment, began, stream.likely.map(({ moment_id: id }) => id), stream.range, stream.windows.length, stream.chosen, stream.isLoading]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const focused = document.activeElement?.dataset?.step;
    this.root.replaceChildren(...(moment ? [this.panel(stream, moment, began)] : stream.chosen && !stream.isLoading && stream.asOf ? [this.missing()] : []));
    if (focused) this.root.querySelector(`[data-step="${focused}"]`)?.focus();
  }

  missing() {
    return html("p", { class: "hint", role: "status" }, "This moment is not known here. Late events may have withdrawn it.");
  }

  panel(stream, moment, began) {
    const { label, mark, tone } = kind(moment.moment_type);
    const into = began !== null && began <= moment.started ? `${position(moment.started - began)} into the stream` : "";
    const status = moment.isWithdrawn ? "withdrawn" : moment.ended === null ? "open" : `lasted ${duration(moment.ended - moment.started)}`;
    const facts = [...contributors(moment), ...context(moment), ...carried(stream, moment)];
    const likely = stream.likely.toReversed();
    const here = likely.findIndex(({ moment_id: id }) => id === moment.moment_id);
    return html("section", { class: "chosen", "data-tone": tone, "data-testid": "chosen", "aria-label": `${label} at ${at(moment.started)}` },
      html("div", { class: "head" },
        html("span", { class: "mark", "aria-hidden": "true" }, mark),
        html("div", {},
          html("p", {}, html("strong", {}, label), " ", into ? html("b", { class: "into" }, into) : null),
          html("p", { class: "when" }, html("time", { datetime: moment.started_at }, at(moment.started)), ` · ${status} · ${strength(moment)} · ${chance(moment)}`),
          html("p", { class: "why" }, sentence(moment)))),
      facts.length > 0 ? html("dl", { class: "facts" }, facts.map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value)))) : null,
      html("div", { class: "actions" }, this.step("Previous", likely[here - 1]), this.step("Next", likely[here + 1]), this.copy(), this.close()));
  }

  step(name, moment) {
    const button = html("button", { type: "button", class: "ghost", "data-step": name, disabled: !moment }, name);
    if (moment) button.onclick = () => go({ moment: moment.moment_id, ...around(moment.started, moment.ended) });
    return button;
  }

  copy() {
    const button = html("button", { type: "button", class: "ghost", "data-step": "copy" }, "Copy link");
    button.onclick = async () => {
      const link = location.origin + address(location.pathname, state());
      try {
        await navigator.clipboard.writeText(link);
        button.textContent = "Copied";
      } catch {
        // Where a page may not write there, the address line still has it.
        button.textContent = "Copy it from the address line";
      }
    };
    return button;
  }

  close() {
    const button = html("button", { type: "button", class: "ghost", "data-step": "close" }, "Close");
    button.onclick = () => go({ moment: null });
    return button;
  }
}
