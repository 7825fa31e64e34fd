// The list of streams: asked for again and again, as ranks change with every slide.

import { compact, decimal } from "./format.js";
import { html } from "./svg.js";
import { presence } from "./tiles.js";
import { address } from "./url.js";

const EVERY = 5_000;
const PAGE = 50;

export class List {
  // `ask(path)` fetches JSON; `onList(streams)` is told what there is.
  constructor({ ask, onList }) {
    Object.assign(this, { ask, onList });
    const find = (id) => document.getElementById(id);
    this.parts = { list: find("list"), state: find("list-state"), more: find("more"), search: find("search") };
    this.order = find("order");
    this.onlyLive = find("only-live");
    this.limit = PAGE;
    this.parts.more.onclick = () => this.again((this.limit += PAGE));
    let typing;
    this.parts.search.oninput = () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.again(), 150);
    };
    this.order.onchange = this.onlyLive.onchange = () => this.again();
    document.getElementById("streams").onkeydown = (event) => this.move(event);
    this.again();
  }

  again() {
    clearTimeout(this.next);
    this.asked = (this.asked ?? 0) + 1;
    return this.look(this.asked);
  }

  async look(asked) {
    const search = this.parts.search.value.trim();
    const query = new URLSearchParams({ order: this.order.value, limit: String(Math.min(this.limit, 500)) });
    if (search) query.set("search", search);
    if (this.onlyLive.checked) query.set("live", "true");
    try {
      const { streams, total, as_of: asOf } = await this.ask(`/streams?${query}`);
      if (asked !== this.asked) return;
      this.show(streams, Date.parse(asOf));
      this.parts.more.hidden = streams.length >= total;
      this.say(total > 0 ? "" : search ? `No stream matches “${search}”` : "No streams yet");
      this.onList(streams);
    } catch (error) {
      if (asked !== this.asked) return;
      this.say(error.message);
    }
    this.next = setTimeout(() => this.again(), EVERY);
  }

  // Only what is new is worth saying.
  say(text) {
    if (this.parts.state.textContent !== text) this.parts.state.textContent = text;
  }

  show(streams, asOf) {
    const known = new Map([...this.parts.list.children].map((item) => [item.dataset.id, item]));
    const greatest = Math.max(1e-9, ...streams.map((stream) => stream.current?.chat_rate ?? 0));
    const items = streams.map((stream) => {
      const item = known.get(stream.stream_id) ?? this.item(stream.stream_id);
      this.fill(item, stream, greatest, asOf);
      return item;
    });
    // Moving what has the focus would take it away.
    const focused = document.activeElement?.closest?.("#list li")?.dataset.id;
    this.parts.list.replaceChildren(...items);
    if (focused) [...this.parts.list.children].find((item) => item.dataset.id === focused)?.firstChild.focus();
    this.mark(this.chosen);
  }

  item(id) {
    const link = html("a", { href: address("/stream", { id }) },
      html("span", { class: "who" }), html("span", { class: "what" }),
      html("span", { class: "figures" }), html("span", { class: "level" }, html("span")));
    return html("li", { "data-id": id }, link);
  }

  fill(item, stream, greatest, asOf) {
    const [who, what, figures, level] = item.firstChild.children;
    item.dataset.presence = stream.presence;
    item.dataset.moments = stream.open_moments;
    // The dot before the name says it to those who see it.
    who.replaceChildren(stream.name, html("span", { class: "hidden" }, `, ${stream.presence}`));
    what.textContent = stream.title ?? stream.category ?? "";
    const viewers = stream.current?.avg_viewers;
    const rate = stream.current ? `${decimal(stream.current.chat_rate)} messages/s` : presence(stream, asOf);
    const moments = stream.open_moments ? `${stream.open_moments} open moment${stream.open_moments > 1 ? "s" : ""}` : "";
    figures.replaceChildren(
      html("span", {}, rate),
      ...(viewers === null || viewers === undefined ? [] : [html("span", {}, `${compact(Math.round(viewers))} viewers`)]),
      ...(moments ? [html("span", { class: "flag" }, moments)] : []));
    level.firstChild.style.width = `${(100 * (stream.current?.chat_rate ?? 0)) / greatest}%`;
  }

  mark(id) {
    this.chosen = id;
    for (const item of this.parts.list.children) {
      if (item.dataset.id === id) item.firstChild.setAttribute("aria-current", "true");
      else item.firstChild.removeAttribute("aria-current");
    }
  }

  // Up and down go from one stream to the next, also out of the search.
  move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.target === this.order) return;
    const links = [...this.parts.list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? links[0] : null) : (links[at + step] ?? (step < 0 ? this.parts.search : null));
    if (next) {
      event.preventDefault();
      next.focus();
    }
  }
}
