// ChatFlow and the metrics below it: one time axis for all charts and for the timeline of moments.

import { baseline } from "./baseline.js";
import { Chart, MARGIN } from "./chart.js";
import { count, date, decimal, minute, moment as at, signed } from "./format.js";
import { METRICS } from "./metrics.js";
import { html, onWidth, scale, svg } from "./svg.js";
import { Timeline } from "./timeline.js";

const AXIS = 22;
const DAY = 86_400_000;

export class Charts {
  constructor(root) {
    this.charts = METRICS.map((metric) => new Chart(metric));
    this.axis = svg("svg", { class: "chart", height: AXIS, "aria-hidden": "true" });
    this.timeline = new Timeline();
    this.readout = html("p", { class: "readout", "aria-live": "polite" });
    const key = (name, text) => html("span", { class: `key ${name}` }, text);
    this.legend = html("p", { class: "legend" }, key("band", "usual, as the detector sees it"), key("moment", "moment"), key("fixed", "corrected by late events"));
    root.append(this.readout, ...this.charts.map(({ node }) => node), this.axis, this.timeline.node, this.legend, svg("svg", { width: 0, height: 0, "aria-hidden": "true" }, stripes()));
    this.width = onWidth(root, () => this.stream && this.draw(this.stream));
    for (const { svg: chart } of this.charts) {
      chart.onpointermove = (event) => this.point(event.clientX - chart.getBoundingClientRect().left);
      chart.onpointerleave = chart.onblur = () => this.point(null);
      chart.onkeydown = (event) => this.key(event);
    }
    this.cursor = null;
  }

  clear() {
    this.cursor = null;
  }

  draw(stream) {
    this.stream = stream;
    const { from, to } = stream.view;
    const width = this.width();
    const x = (this.x = scale(from, to, MARGIN.left, width - MARGIN.right));
    const moments = stream.told.filter((moment) => (moment.ended ?? to) >= from && moment.started <= to);
    this.windows = stream.windows.filter((window) => window.end >= from && window.end <= to);
    for (const chart of this.charts) {
      const bands = baseline(chart.metric, stream.windows, [...stream.moments.values()]);
      chart.draw({ windows: this.windows, bands, moments, from, to, width, x, chosen: stream.chosen });
    }
    this.axis.setAttribute("width", width);
    this.axis.replaceChildren(...times(from, to, Math.max(2, Math.floor(width / 95)))
      .map((time) => svg("text", { x: x(time), y: 15, "text-anchor": "middle" }, to - from > DAY ? date(time) : minute(time))));
    this.timeline.draw({ stream, moments, from, to, width, x });
    this.mark();
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
    const here = this.windows.findIndex((window) => window.end === this.cursor);
    const next = (here < 0 ? this.windows.length : here) + (here < 0 ? -1 : step);
    this.cursor = this.windows[Math.max(0, Math.min(this.windows.length - 1, next))].end;
    this.mark();
  }

  mark() {
    const window = this.windows?.find((window) => window.end === this.cursor);
    this.charts.forEach((chart) => chart.mark(window));
    if (!window) {
      const fixed = this.windows?.filter((window) => window.isCorrected).length;
      return this.say(fixed ? `${fixed} window${fixed === 1 ? "" : "s"} corrected by late events` : "");
    }
    const [{ metric }] = this.charts;
    const after = window.end % (window.end - window.start);
    const bands = baseline(metric, this.stream.windows, [...this.stream.moments.values()], after);
    const usual = bands.find((band) => band.end === window.end);
    this.say([
      `${at(window.end)}: ${decimal(window.chat_rate)} messages a second by ${count(window.unique_chatters)} people` +
        (usual ? `, usual ${decimal(usual.low)} to ${decimal(usual.high)}` : ""),
      window.avg_viewers === null ? "" : `${count(window.avg_viewers)} viewers`,
      window.transaction_count ? `${count(window.transaction_count)} transaction${window.transaction_count === 1 ? "" : "s"}` : "",
      window.sentiment_score === null ? "" : `sentiment ${signed(window.sentiment_score)}`,
      window.isCorrected ? `corrected ${window.revision} time${window.revision === 1 ? "" : "s"}` : "",
    ].filter(Boolean).join("; "));
  }

  // The same again need not be said again.
  say(text) {
    if (this.readout.textContent !== text) this.readout.textContent = text;
  }
}

// Whole minutes, hours or days, as many as there is room for.
function times(from, to, room) {
  const minutes = [1, 2, 5, 10, 15, 20, 30, 60, 120, 240, 480, 1440, 2880];
  const step = (minutes.find((step) => (to - from) / (step * 60_000) <= room) ?? 5760) * 60_000;
  const zone = new Date(from).getTimezoneOffset() * 60_000;
  const first = Math.ceil((from - zone) / step) * step + zone;
  const all = Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, i) => first + i * step);
  const edge = (to - from) / 40;
  return all.filter((time) => time > from + edge && time < to - edge);
}

function stripes() {
  return svg("defs", {}, svg("pattern", { id: "stripes", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("rect", { width: 2, height: 6 })));
}
