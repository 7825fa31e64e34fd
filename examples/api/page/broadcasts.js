// The broadcasts of a stream: what each came to, a way into it, and two of them side by side.

import { Compare } from "./compare.js";
import { save } from "./exports.js";
import { compact, count, date, duration, money } from "./format.js";
import { table } from "./markers.js";
import { html } from "./svg.js";
import { address, go, state } from "./url.js";
import { around } from "./when.js";

const EVERY = 60_000;

const revenue = ({ revenue: sums }) => Object.entries(sums).map(([currency, amount]) => money(Number(amount), currency)).join(", ");

export class Broadcasts {
  constructor(root, ask, onFound) {
    Object.assign(this, { ask, onFound, id: null, all: [] });
    this.list = html("div", { class: "scroll", role: "region", "aria-label": "Broadcasts", tabindex: 0, "data-testid": "broadcasts" });
    this.hint = html("p", { class: "hint", role: "status" });
    this.csv = html("button", { type: "button", class: "ghost" }, "Save as CSV");
    this.csv.onclick = () => this.save();
    this.compare = new Compare(ask);
    root.append(this.hint, this.list, html("p", { class: "export" }, this.csv), this.compare.node);
  }

  clear() {
    clearTimeout(this.next);
    Object.assign(this, { id: null, all: [] });
    this.say("");
    this.draw();
  }

  // Looks again for another stream or another chance, and once a minute.
  follow(id, chance) {
    if (this.id === id && this.chance === chance) return this.draw();
    clearTimeout(this.next);
    Object.assign(this, { id, chance });
    this.look(id, chance);
    return this.draw();
  }

  async look(id, chance) {
    clearTimeout(this.next);
    try {
      const { broadcasts } = await this.ask(address(`/streams/${encodeURIComponent(id)}/broadcasts`, { max_chance: chance }));
      if (this.id !== id || this.chance !== chance) return;
      this.all = broadcasts.map((one) => ({ ...one, started: Date.parse(one.started_at), ended: Date.parse(one.ended_at) }));
      this.say(this.all.length > 0 ? "The last seven days. A broadcast ends when its metadata says so, or after five minutes without events." : "No broadcasts in the last seven days.");
    } catch (error) {
      if (this.id !== id || this.chance !== chance) return;
      // A stream of which nothing is known yet has none.
      this.say(this.all.length > 0 ? `${error.message}.` : "No broadcasts in the last seven days.");
    }
    this.onFound();
    this.draw();
    this.next = setTimeout(() => this.look(id, chance), EVERY);
  }

  say(text) {
    if (this.hint.textContent !== text) this.hint.textContent = text;
  }

  // The one in which a time is.
  at(time) {
    return this.all.find(({ started, ended, is_open: open }) => time >= started && (open || time <= ended)) ?? null;
  }

  draw() {
    const chosen = (state().compare ?? "").split(",").filter(Boolean);
    this.csv.disabled = this.all.length === 0;
    this.compare.draw(this.id, chosen.map((start) => this.all.find((one) => one.started_at === start)).filter(Boolean));
    const drawn = JSON.stringify([this.id, this.all, location.search]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const heads = ["Began", "Lasted", "Viewers", "Messages", "People a minute", "Revenue", "Moments", "Emotes", "Compare"];
    this.list.hidden = this.all.length === 0;
    this.list.replaceChildren(html("table", {},
      html("thead", {}, html("tr", {}, heads.map((head) => html("th", { scope: "col" }, head)))),
      html("tbody", {}, this.all.map((one) => this.row(one, chosen)))));
    if (focused) [...this.list.querySelectorAll("[data-key]")].find((node) => node.dataset.key === focused)?.focus();
  }

  row(one, chosen) {
    const { id } = this;
    const { type, max_chance } = state();
    const viewers = one.peak_viewers === null ? "–" : `peak ${compact(one.peak_viewers)}, mean ${compact(Math.round(one.mean_viewers))}`;
    const began = html("a", { href: address("/stream", { id, from: one.started_at, to: one.ended_at, type, max_chance }), "data-key": `show ${one.started_at}` }, date(one.started));
    const { strongest } = one;
    const moments = strongest === null ? "none" : html("a", {
      "data-key": `strongest ${one.started_at}`,
      href: address("/stream", { id, moment: strongest.moment_id, ...around(Date.parse(strongest.started_at), strongest.ended_at && Date.parse(strongest.ended_at)), type, max_chance }),
    }, `${count(one.moments)}, see the strongest`);
    const box = html("input", { type: "checkbox", "aria-label": `Compare the broadcast of ${date(one.started)}`, "data-key": `compare ${one.started_at}` });
    box.checked = chosen.includes(one.started_at);
    // The last two that were chosen.
    box.onchange = () => go({ compare: (box.checked ? [...chosen, one.started_at].slice(-2) : chosen.filter((other) => other !== one.started_at)).join() });
    return html("tr", {}, html("th", { scope: "row" }, began, one.is_cut ? " or before" : ""),
      [`${duration(Math.round((one.ended - one.started) / 60_000) * 60_000)}${one.is_open ? ", goes on" : ""}`, viewers, count(one.messages),
        `peak ${count(one.peak_chatters)}, mean ${count(one.mean_chatters)}`, revenue(one) || "none", moments,
        one.top_emotes.slice(0, 3).map(({ name }) => name).join(", ") || "none", box].map((cell) => html("td", {}, cell)));
  }

  save() {
    const currencies = [...new Set(this.all.flatMap((one) => Object.keys(one.revenue)))].sort();
    const head = ["stream_id", "started_at", "ended_at", "messages", "mean_viewers", "peak_viewers", "mean_chatters", "peak_chatters", "transactions", "moments", "top_emotes", ...currencies.map((name) => `revenue_${name}`)];
    const rows = this.all.map((one) => [this.id, one.started_at, one.ended_at, one.messages, one.mean_viewers, one.peak_viewers, one.mean_chatters, one.peak_chatters, one.transactions, one.moments,
      one.top_emotes.map(({ name, count: times }) => `${name} ${times}`).join(" "), ...currencies.map((name) => one.revenue[name] ?? "0")]);
    save(`${this.id.replace(/[^\w.-]/g, "_")}-broadcasts.csv`, "text/csv", table(head, rows));
  }
}
