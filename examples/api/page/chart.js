// One metric over time: its line, what is usual, and its own moments.

import { decimal, kind, moment as at, signed } from "./format.js";
import { area, curve, html, line, placesOf, scale, span, svg, ticks } from "./svg.js";

export const MARGIN = { top: 22, right: 10, bottom: 6, left: 46 };
const MISSING = 60_000;

export class Chart {
  constructor(metric) {
    this.metric = metric;
    const { name, title, unit, height } = metric;
    this.svg = svg("svg", { class: "chart", height, role: "img", tabindex: 0, "data-testid": name === "chat" ? "flow" : `chart-${name}` });
    this.node = html("figure", { class: "metric", "data-metric": name }, html("figcaption", {}, html("b", {}, title), ` ${unit === title.toLowerCase() ? "" : unit}`), this.svg);
  }

  text(value) {
    return this.metric.signed ? signed(value) : decimal(value, this.metric.places);
  }

  draw({ windows, bands, moments, from, to, width, x, chosen }) {
    const { metric } = this;
    const floor = metric.height - MARGIN.bottom;
    const shown = windows.filter((window) => window.end >= from && window.end <= to && metric.value(window) !== null);
    const usual = bands.filter((band) => band.end >= from && band.end <= to);
    const [least, rows] = this.extent(shown.map(metric.value), usual);
    const y = (this.y = scale(least, rows.at(-1), floor, MARGIN.top));
    const places = placesOf(rows[1] - rows[0]);
    this.x = x;
    const gap = (a, b) => b[3] - a[3] > MISSING;
    // From zero, as far as it is in sight.
    const base = metric.signed ? Math.min(floor, Math.max(MARGIN.top, y(0))) : floor;
    const points = shown.map((window) => [x(window.end), y(metric.value(window)), base, window.end]);
    const apart = (a, b) => b.end - a.end > MISSING;
    const own = moments.filter((moment) => metric.types.includes(moment.moment_type));
    this.shown = shown;
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${metric.height}`);
    this.svg.setAttribute("aria-label", this.describe(shown, usual, own));
    this.svg.replaceChildren(
      ...rows.map((row) => svg("g", { class: "tick" },
        svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(row), y2: y(row) }),
        svg("text", { x: MARGIN.left - 6, y: y(row) + 4, "text-anchor": "end" }, decimal(row, places)))),
      svg("path", { class: "band", d: span(usual, apart, ({ end, low, high }) => [x(end), y(high), y(low)]) }),
      svg("path", { class: "mean", d: curve(usual, apart, ({ end, mean }) => [x(end), y(mean)]) }),
      ...own.toReversed().map((moment) => this.moment(moment, from, to, chosen)),
      svg("path", { class: "surface", d: area(points, gap) }),
      svg("path", { class: "line", d: line(points, gap) }),
      ...(metric.name === "chat" ? shown.filter((window) => window.isCorrected)
        .map((window) => svg("rect", { class: "fixed", x: x(window.end) - 1, y: floor + 1, width: 2, height: 5 })) : []),
      (this.hair = svg("g", { class: "hair" })));
  }

  // Counts are seen from zero; of levels it is the movement that is seen.
  extent(values, usual) {
    const all = [...values, ...usual.flatMap(({ low, high }) => [low, high])];
    if (this.metric.fromZero || all.length === 0) return [0, ticks(0, Math.max(0.5, ...all), this.metric.height > 150 ? 4 : 2)];
    const rows = ticks(Math.min(...all), Math.max(...all), 2);
    return [rows[0], rows];
  }

  moment(moment, from, to, chosen) {
    const { label, mark, tone } = kind(moment.moment_type);
    const [left, right] = [this.x(Math.max(from, moment.started)), this.x(Math.min(to, moment.ended ?? to))];
    const state = moment.isWithdrawn ? "withdrawn" : moment.ended === null ? "open" : "closed";
    const height = this.metric.height - MARGIN.top - MARGIN.bottom;
    return svg("g", { class: "span", "data-tone": tone, "data-state": state, "data-chosen": moment.moment_id === chosen },
      svg("title", {}, `${label}, ${state}, since ${at(moment.started)}`),
      svg("rect", { x: left, y: MARGIN.top, width: Math.max(3, right - left), height, rx: 3 }),
      svg("circle", { cx: left + 8, cy: 11, r: 8 }),
      svg("text", { x: left + 8, y: 15, "text-anchor": "middle" }, mark));
  }

  describe(shown, usual, own) {
    const { title, unit } = this.metric;
    const last = shown.at(-1);
    if (!last) return `${title}: no values in this time`;
    const held = own.filter((moment) => !moment.isWithdrawn).length;
    const band = usual.at(-1);
    const range = band ? `; usual is ${this.text(band.low)} to ${this.text(band.high)}` : "";
    return `${title}: ${this.text(this.metric.value(last))} ${unit} at ${at(last.end)}${range}; ${held} moment${held === 1 ? "" : "s"}. Use the arrow keys to read the charts.`;
  }

  mark(window) {
    const value = window && this.metric.value(window);
    if (value === null || value === undefined || !this.y) return this.hair?.replaceChildren();
    const x = this.x(window.end);
    this.hair.replaceChildren(
      svg("line", { x1: x, x2: x, y1: MARGIN.top, y2: this.metric.height - MARGIN.bottom }),
      svg("circle", { cx: x, cy: this.y(value), r: 4 }));
  }
}
