// The moments of the overview: of all streams or of one, by time, kind and chance, the strongest or newest first.

import { duration, KINDS, kind, moment as at, position } from "./format.js";
import { html } from "./svg.js";
import { address, go, state } from "./url.js";
import { around, WHENS, whenOf } from "./when.js";
import { chance, sentence, strength } from "./words.js";

const PAGE = 20;

export class Found {
  constructor(again) {
    const find = (id) => document.getElementById(id);
    [this.list, this.hint, this.more, this.only] = ["found", "found-hint", "more-moments", "only"].map(find);
    [this.type, this.order, this.chance] = ["type", "order", "max-chance"].map(find);
    this.type.append(html("option", { value: "" }, "all kinds"),
      ...Object.entries(KINDS).map(([type, { label }]) => html("option", { value: type }, `${label}s`)));
    this.buttons = WHENS.map(({ name, label }) => html("button", { type: "button", "data-when": name }, label));
    find("when").append(...this.buttons);
    for (const button of this.buttons) button.onclick = () => go({ when: button.dataset.when });
    this.type.onchange = () => go({ type: this.type.value });
    this.order.onchange = () => go({ order: this.order.value });
    this.chance.onchange = () => go({ max_chance: this.chance.value });
    this.limit = PAGE;
    this.more.onclick = () => again((this.limit = Math.min(1000, this.limit + PAGE)));
  }

  // What the address asks for, as a question to the API.
  question() {
    const { when, type, order = "strongest", max_chance: most = "0.1", stream } = state();
    const { name, range } = whenOf(when);
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.when === name));
    [this.type.value, this.order.value, this.chance.value] = [type ?? "", order, most];
    this.most = Number(most);
    const { from, to } = range(Date.now());
    const iso = (ms) => ms && new Date(ms).toISOString();
    // Of what is open the chance may not be known yet: that is told, too.
    const open = name === "open";
    return address("/moments", {
      order, type, stream_id: stream, open: open ? "true" : null, max_chance: open ? null : most,
      from: iso(from), to: iso(to), limit: String(this.limit),
    });
  }

  show({ moments, next_cursor: more }, streams) {
    const { when, stream, type } = state();
    const told = moments.filter((moment) => (moment.chance ?? 0) <= this.most);
    this.more.hidden = !more || this.limit >= 1000;
    const name = streams.get(stream)?.name ?? stream;
    this.only.replaceChildren(...(stream ? [html("a", { class: "ghost", href: address("/", { ...state(), stream: null }), "aria-label": `Only ${name}: show all streams` }, `Only ${name} ×`)] : []));
    const what = type ? `${kind(type).label.toLowerCase()}s` : "moments";
    const where = stream ? ` of ${name}` : "";
    const unlikely = moments.length - told.length;
    const rest = unlikely > 0 ? ` ${unlikely} more not shown: likely chance.` : "";
    const none = whenOf(when).name === "open" ? `No open ${what}${where} right now. See the last hour, or last night.` : `No ${what}${where} in this time.`;
    this.say((told.length > 0 ? "" : none) + rest);
    const drawn = JSON.stringify([told, [...streams.values()].map((one) => [one.name, one.started_at]), location.search]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const focused = document.activeElement?.closest?.("#found li")?.dataset.id;
    this.list.replaceChildren(...told.map((moment) => this.item(moment, streams.get(moment.stream_id))));
    if (focused) [...this.list.children].find((item) => item.dataset.id === focused)?.firstChild.focus();
  }

  say(text) {
    if (this.hint.textContent !== text) this.hint.textContent = text;
  }

  item(moment, stream) {
    const { label, mark, tone } = kind(moment.moment_type);
    const started = Date.parse(moment.started_at), ended = moment.ended_at && Date.parse(moment.ended_at);
    const began = stream?.started_at && Date.parse(stream.started_at);
    const into = began && began <= started ? ` · ${position(started - began)} into the stream` : "";
    const length = ended ? `lasted ${duration(ended - started)}` : "still open";
    const { type, max_chance } = state();
    const href = address("/stream", { id: moment.stream_id, moment: moment.moment_id, ...around(started, ended), type, max_chance });
    return html("li", { "data-id": moment.moment_id, "data-tone": tone, "data-state": ended ? "closed" : "open" },
      html("a", { href },
        html("span", { class: "mark", "aria-hidden": "true" }, mark),
        html("span", { class: "body" },
          html("span", { class: "head" }, html("strong", {}, label), " ", html("span", { class: "of" }, stream?.name ?? moment.stream_id)),
          html("span", { class: "when" }, html("time", { datetime: moment.started_at }, at(started)), ` · ${length}${into}`),
          html("span", { class: "why" }, sentence(moment))),
        html("span", { class: "rank" }, html("b", { title: "how far from what is usual, in standard deviations" }, strength(moment)), html("span", {}, chance(moment)))));
  }
}
