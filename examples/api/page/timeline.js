// MomentsTimeline: a row for each kind of moment, on the time axis of the charts.

import { duration, KINDS, kind, moment as at } from "./format.js";
import { html, svg } from "./svg.js";
import { address, state } from "./url.js";
import { strength } from "./words.js";

// A row: its name, the moments below it, and a line that ends it. Beside its name there would be no room on a phone.
const ROW = 38;
const MARK = 14;
const TOP = 17;

export class Timeline {
  constructor() {
    this.svg = svg("svg", { class: "chart rows", role: "group", "aria-label": "Moments by kind, on the time axis of the charts", "data-testid": "timeline" });
    this.node = html("figure", { class: "metric" }, html("figcaption", {}, html("b", {}, "Moments"), " by kind"), this.svg);
  }

  draw({ stream, moments, from, to, width, x }) {
    const types = [...new Set([...Object.keys(KINDS), ...moments.map((moment) => moment.moment_type)])]
      .filter((type) => !stream.type || stream.type === type);
    const height = types.length * ROW;
    const drawn = JSON.stringify([moments, from, to, width, stream.chosen, types]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const focused = this.svg.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren(...types.map((type, row) => {
      const { label, tone } = kind(type);
      return svg("g", { "data-tone": tone, "data-type": type, class: "row", transform: `translate(0 ${row * ROW})` },
        svg("line", { x1: x(from), x2: x(to), y1: ROW - 2, y2: ROW - 2 }),
        svg("text", { x: x(from), y: 11 }, label),
        ...moments.filter((moment) => moment.moment_type === type).toReversed()
          .map((moment) => this.mark(moment, stream, from, to, x)));
    }));
    if (focused) [...this.svg.querySelectorAll("a")].find((link) => link.dataset.id === focused)?.focus();
  }

  mark(moment, stream, from, to, x) {
    const [left, right] = [x(Math.max(from, moment.started)), x(Math.min(to, moment.ended ?? to))];
    const status = moment.isWithdrawn ? "withdrawn" : moment.ended === null ? "open" : "closed";
    const length = duration((moment.ended ?? stream.asOf) - moment.started);
    const text = `${kind(moment.moment_type).label} at ${at(moment.started)}, ${status}, ${length}, ${strength(moment)}`;
    return svg("a", {
      class: "mark", href: address(location.pathname, { ...state(), moment: moment.moment_id }), "aria-label": text, "data-id": moment.moment_id,
      "data-state": status, "data-chosen": moment.moment_id === stream.chosen,
    }, svg("title", {}, text), svg("rect", { x: left, y: TOP, width: Math.max(8, right - left), height: MARK, rx: 4 }));
  }
}
