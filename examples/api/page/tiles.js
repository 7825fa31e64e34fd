// The streams of the overview: what each is doing, and its last hour as a line.

import { compact, decimal, duration } from "./format.js";
import { area, html, line, scale, svg } from "./svg.js";
import { address, state } from "./url.js";

const PAGE = 50;
const WIDTH = 96;
const HEIGHT = 32;

export function presence({ presence, silent_since: since }, asOf) {
  if (presence === "silent" && since) return `silent for ${duration(Math.max(60_000, Math.floor((asOf - Date.parse(since)) / 60_000) * 60_000))}`;
  return presence;
}

export class Tiles {
  constructor(again) {
    this.limit = PAGE;
    const find = (id) => document.getElementById(id);
    [this.list, this.hint, this.more] = [find("all"), find("all-hint"), find("more-streams")];
    this.more.onclick = () => again((this.limit = Math.min(500, this.limit + PAGE)));
  }

  show({ streams, totals, as_of: asOf }) {
    this.more.hidden = streams.length >= totals.streams || this.limit >= 500;
    const hint = totals.streams > 0 ? "" : "No streams yet. A stream appears here with its first event.";
    if (this.hint.textContent !== hint) this.hint.textContent = hint;
    const known = new Map([...this.list.children].map((item) => [item.dataset.id, item]));
    const focused = document.activeElement?.closest?.("#all li a, #all li button");
    const items = streams.map((one) => {
      const item = known.get(one.stream.stream_id) ?? this.item(one.stream.stream_id);
      this.fill(item, one, Date.parse(asOf));
      return item;
    });
    this.list.replaceChildren(...items);
    this.aim();
    if (focused?.isConnected) focused.focus();
  }

  // Of all its moments, in the same range and of the same kinds. At once where these change, as somebody may click.
  aim() {
    const { when, type, max_chance, order } = state();
    for (const item of this.list.children) {
      item.querySelector(".only").href = address("/", { when, type, max_chance, order, stream: item.dataset.id });
    }
  }

  item(id) {
    return html("li", { "data-id": id },
      html("a", { class: "stream", href: address("/stream", { id }) },
        html("span", { class: "who" }), html("span", { class: "what" }), html("span", { class: "figures" })),
      svg("svg", { class: "mini", width: WIDTH, height: HEIGHT, role: "img" }),
      html("a", { class: "ghost only" }));
  }

  fill(item, { stream, chat_rate: rates }, asOf) {
    const [link, chart, only] = item.children;
    const [who, what, figures] = link.children;
    item.dataset.presence = stream.presence;
    who.textContent = stream.name;
    what.textContent = stream.title ?? stream.category ?? "";
    const { current } = stream;
    const viewers = current?.avg_viewers;
    figures.replaceChildren(
      html("span", { class: "presence" }, presence(stream, asOf)),
      ...(current ? [html("span", {}, `${decimal(current.chat_rate)} messages/s`)] : []),
      ...(viewers === null || viewers === undefined ? [] : [html("span", {}, `${compact(Math.round(viewers))} viewers`)]));
    only.textContent = stream.open_moments ? `${stream.open_moments} open moment${stream.open_moments > 1 ? "s" : ""}` : "Moments";
    only.setAttribute("aria-label", `${only.textContent} of ${stream.name}`);
    this.draw(chart, rates, stream.name);
  }

  draw(chart, rates, name) {
    const greatest = Math.max(0.1, ...rates.map((rate) => rate ?? 0));
    const x = scale(0, rates.length - 1, 1, WIDTH - 1), y = scale(0, greatest, HEIGHT - 1, 2);
    const points = rates.map((rate, i) => [x(i), y(rate ?? 0), HEIGHT - 1, i]).filter((_, i) => rates[i] !== null);
    const gap = (a, b) => b[3] - a[3] > 1;
    chart.setAttribute("aria-label", `Chat of ${name} in the last ${rates.length} minutes, at most ${decimal(greatest)} messages a second`);
    chart.replaceChildren(svg("path", { class: "surface", d: area(points, gap) }), svg("path", { class: "line", d: line(points, gap) }));
  }
}
