// ChatFlow: messages a second, within what is usual, and the moments on it.

import { count, decimal, kind, minute, second } from "./format.js";
import { area, html, line, onWidth, scale, svg, ticks } from "./svg.js";

const HEIGHT = 300;
const MARGIN = { top: 30, right: 10, bottom: 24, left: 40 };

export class Flow {
  constructor(root, buttons) {
    this.span = 30 * 60_000;
    for (const button of buttons) {
      button.onclick = () => {
        this.span = Number(button.dataset.minutes) * 60_000;
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        this.redraw();
      };
    }
    this.chart = svg("svg", { class: "chart", height: HEIGHT, role: "img", tabindex: 0, "data-testid": "flow" });
    this.readout = html("p", { class: "readout", "aria-live": "polite" });
    this.legend = html("p", { class: "legend" },
      html("span", { class: "key rate" }, "messages a second"), html("span", { class: "key band" }, "usual"),
      html("span", { class: "key moment" }, "moment"), html("span", { class: "key fixed" }, "corrected by late events"));
    root.append(this.chart, this.readout, this.legend);
    this.width = onWidth(root, () => this.redraw());
    this.chart.onpointermove = (event) => this.point(event.clientX - this.chart.getBoundingClientRect().left);
    this.chart.onpointerleave = this.chart.onblur = () => this.point(null);
    this.chart.onkeydown = (event) => this.key(event);
    this.cursor = null;
  }

  clear() {
    this.cursor = null;
  }

  redraw() {
    if (this.stream) this.draw(this.stream);
  }

  draw(stream) {
    this.stream = stream;
    const width = this.width();
    const to = stream.asOf ?? 0;
    const from = to - this.span;
    const windows = (this.windows = stream.since(from));
    const bands = windows.map((window) => ({ end: window.end, ...stream.baseline(window) })).filter((band) => "mean" in band);
    const greatest = Math.max(0.5, ...windows.map((window) => window.chat_rate), ...bands.map((band) => band.high));
    const rates = ticks(greatest, 4);
    const x = (this.x = scale(from, to, MARGIN.left, width - MARGIN.right));
    const y = (this.y = scale(0, rates.at(-1), HEIGHT - MARGIN.bottom, MARGIN.top));
    const floor = HEIGHT - MARGIN.bottom;
    const gap = (a, b) => b[3] - a[3] > 60_000;
    const points = windows.map((window) => [x(window.end), y(window.chat_rate), floor, window.end]);
    const band = bands.map(({ end, low, high }) => [x(end), y(high), y(low), end]);
    const means = bands.map(({ end, mean }) => [x(end), y(mean), 0, end]);
    const moments = stream.told.filter((moment) => (moment.ended ?? to) > from);
    this.chart.setAttribute("width", width);
    this.chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.chart.setAttribute("aria-label", this.describe(stream, bands, moments));
    this.chart.replaceChildren(
      this.stripes(),
      ...rates.map((rate) => svg("g", { class: "tick" },
        svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(rate), y2: y(rate) }),
        svg("text", { x: MARGIN.left - 6, y: y(rate) + 4, "text-anchor": "end" }, decimal(rate, rates[1] < 1 ? 1 : 0)))),
      ...this.times(from, to).map((time) => svg("text", { class: "time", x: x(time), y: HEIGHT - 6, "text-anchor": "middle" }, minute(time))),
      ...moments.toReversed().map((moment) => this.moment(moment, Math.max(from, moment.started), moment.ended ?? to)),
      svg("path", { class: "band", d: area(band, gap) }),
      svg("path", { class: "mean", d: line(means, gap) }),
      svg("path", { class: "surface", d: area(points, gap) }),
      svg("path", { class: "line", d: line(points, gap) }),
      ...windows.filter((window) => window.isCorrected)
        .map((window) => svg("rect", { class: "fixed", x: x(window.end) - 1, y: floor + 2, width: 2, height: 5 })),
      ...(points.length > 0 ? [svg("circle", { class: "beat", cx: points.at(-1)[0], cy: points.at(-1)[1], r: 4 })] : []),
      (this.hair = svg("g", { class: "hair" })));
    this.mark();
  }

  // Whole minutes, as many as there is room for.
  times(from, to) {
    const room = Math.max(2, Math.floor(this.width() / 90));
    const step = [1, 2, 5, 10, 15, 20, 30].find((minutes) => this.span / (minutes * 60_000) <= room) * 60_000;
    const first = Math.ceil((from + 20_000) / step) * step;
    return Array.from({ length: Math.max(0, Math.floor((to - 10_000 - first) / step) + 1) }, (_, i) => first + i * step);
  }

  stripes() {
    return svg("defs", {}, svg("pattern", { id: "stripes", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("rect", { width: 2, height: 6 })));
  }

  moment(moment, from, to) {
    const { label, mark, tone } = kind(moment.moment_type);
    const [left, right] = [this.x(from), this.x(to)];
    const state = moment.isWithdrawn ? "withdrawn" : moment.ended === null ? "open" : "closed";
    return svg("g", { class: "span", "data-tone": tone, "data-state": state },
      svg("title", {}, `${label}, ${state}, since ${second(moment.started)}`),
      svg("rect", { x: left, y: MARGIN.top - 4, width: Math.max(3, right - left), height: HEIGHT - MARGIN.top - MARGIN.bottom + 4, rx: 3 }),
      svg("circle", { cx: left + 8, cy: 14, r: 9 }),
      svg("text", { x: left + 8, y: 18, "text-anchor": "middle" }, mark));
  }

  describe(stream, bands, moments) {
    const current = stream.current;
    if (!current) return "Chat rate: the stream is silent";
    const usual = bands.at(-1);
    const rate = `Chat rate: ${decimal(current.chat_rate)} messages a second at ${second(current.end)}`;
    const range = usual ? `; usual is ${decimal(usual.low)} to ${decimal(usual.high)}` : "";
    const held = moments.filter((moment) => !moment.isWithdrawn).length;
    return `${rate}${range}; ${held} moment${held === 1 ? "" : "s"} in ${this.span / 60_000} minutes. Use the arrow keys to read it.`;
  }

  point(left) {
    const far = (window) => Math.abs(this.x(window.end) - left);
    const near = left === null || !this.windows?.length ? null : this.windows.reduce((a, b) => (far(b) < far(a) ? b : a));
    this.cursor = near?.end ?? null;
    this.mark();
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -6, PageDown: 6, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !this.windows?.length) return;
    event.preventDefault();
    const at = this.windows.findIndex((window) => window.end === this.cursor);
    const next = (at < 0 ? this.windows.length : at) + (at < 0 ? -1 : step);
    this.cursor = this.windows[Math.max(0, Math.min(this.windows.length - 1, next))].end;
    this.mark();
  }

  mark() {
    const window = this.windows?.find((window) => window.end === this.cursor);
    if (!window) {
      this.hair?.replaceChildren();
      const fixed = this.windows?.filter((window) => window.isCorrected).length;
      this.say(fixed ? `${fixed} window${fixed === 1 ? "" : "s"} corrected by late events` : "");
      return;
    }
    const x = this.x(window.end);
    this.hair.replaceChildren(
      svg("line", { x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
      svg("circle", { cx: x, cy: this.y(window.chat_rate), r: 4.5 }));
    const usual = this.stream.baseline(window);
    this.say(`${second(window.end)}: ${decimal(window.chat_rate)} messages a second by ${count(window.unique_chatters)} users` +
      (usual ? `; usual ${decimal(usual.low)} to ${decimal(usual.high)}` : "") +
      (window.isCorrected ? `; corrected ${window.revision} time${window.revision === 1 ? "" : "s"}` : ""));
  }

  // The same again need not be said again.
  say(text) {
    if (this.readout.textContent !== text) this.readout.textContent = text;
  }
}
