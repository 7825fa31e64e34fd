// Two broadcasts side by side: their sums, and their lines from the start of each.

import { count, date, decimal, duration, money, position, signed } from "./format.js";
import { past } from "./past.js";
import { html, line, onWidth, placesOf, scale, svg, ticks } from "./svg.js";

const HEIGHT = 150;
const MARGIN = { top: 8, right: 10, bottom: 20, left: 46 };
const LINES = [
  { title: "Chat, messages a second", value: (window) => window.chat_rate },
  { title: "Viewers", value: (window) => window.avg_viewers },
];

export class Compare {
  constructor(ask) {
    this.ask = ask;
    this.node = html("section", { class: "compare", "aria-label": "Comparison", "data-testid": "compare", hidden: true });
    this.width = onWidth(this.node, () => this.pair && this.show());
  }

  draw(id, pair) {
    this.node.hidden = pair.length !== 2;
    const wanted = pair.length === 2 ? `${id} ${pair.map((one) => `${one.started_at} ${one.ended_at}`).join()}` : "";
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.pair = null;
    this.node.replaceChildren();
    if (wanted) this.load(id, pair.toSorted((a, b) => a.started - b.started), wanted);
  }

  async load(id, pair, wanted) {
    try {
      const streams = await Promise.all(pair.map((one) => past(this.ask, id, one.started, one.ended, () => {})));
      if (wanted !== this.wanted) return;
      this.pair = pair;
      this.streams = streams;
      this.show();
    } catch (error) {
      if (wanted === this.wanted) this.node.replaceChildren(html("p", { class: "hint", role: "status" }, `${error.message}.`));
    }
  }

  show() {
    const names = this.pair.map((one) => date(one.started));
    this.node.replaceChildren(html("h3", {}, "Two broadcasts compared"), this.sums(names), ...LINES.map((metric) => this.chart(metric)),
      html("p", { class: "legend" }, names.map((name, i) => html("span", { class: `key line-${i}` }, name))));
  }

  sums(names) {
    const currencies = [...new Set(this.pair.flatMap((one) => Object.keys(one.revenue)))].sort();
    const rows = [
      ["Lasted", (one) => one.ended - one.started, duration], ["Peak viewers", (one) => one.peak_viewers, count], ["Mean viewers", (one) => one.mean_viewers, count],
      ["Messages", (one) => one.messages, count], ["Messages a minute", (one) => (one.messages * 60_000) / (one.ended - one.started), decimal],
      ["Most people in a minute", (one) => one.peak_chatters, count], ["Transactions", (one) => one.transactions, count],
      ...currencies.map((name) => [`Revenue, ${name}`, (one) => Number(one.revenue[name] ?? 0), (amount) => money(amount, name)]),
      ["Moments", (one) => one.moments, count],
    ];
    const emotes = (one) => one.top_emotes.map(({ name }) => name).join(", ") || "none";
    const change = (before, after) => (before ? `${signed((100 * (after - before)) / before, 0)} %` : "–");
    return html("table", {},
      html("thead", {}, html("tr", {}, ["", ...names, "Change"].map((name) => (name ? html("th", { scope: "col" }, name) : html("td"))))),
      html("tbody", {},
        rows.map(([name, pick, show]) => {
          const [before, after] = this.pair.map(pick);
          const text = (value) => (value === null ? "–" : show(value));
          return html("tr", {}, html("th", { scope: "row" }, name), html("td", {}, text(before)), html("td", {}, text(after)), html("td", {}, before === null || after === null ? "–" : change(before, after)));
        }),
        html("tr", {}, html("th", { scope: "row" }, "Emotes"), this.pair.map((one) => html("td", {}, emotes(one))), html("td", {}, ""))));
  }

  chart({ title, value }) {
    const width = this.width();
    const lines = this.streams.map((stream, i) => stream.disjoint(this.pair[i].started)
      .filter((window) => window.end <= this.pair[i].ended && value(window) !== null)
      .map((window) => [window.end - this.pair[i].started, value(window)]));
    const longest = Math.max(60_000, ...this.pair.map((one) => one.ended - one.started));
    const rows = ticks(0, Math.max(0.5, ...lines.flat().map(([, y]) => y)), 3);
    const x = scale(0, longest, MARGIN.left, width - MARGIN.right), y = scale(0, rows.at(-1), HEIGHT - MARGIN.bottom, MARGIN.top);
    const gap = (a, b) => b[2] - a[2] > 3 * 60_000;
    const marks = [0, 0.25, 0.5, 0.75].map((part) => Math.round((part * longest) / 60_000) * 60_000);
    return html("figure", { class: "metric" }, html("figcaption", {}, html("b", {}, title)),
      svg("svg", { class: "chart", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${title}: both broadcasts from their start` },
        rows.map((row) => svg("g", { class: "tick" }, svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(row), y2: y(row) }),
          svg("text", { x: MARGIN.left - 6, y: y(row) + 4, "text-anchor": "end" }, decimal(row, placesOf(rows[1] - rows[0]))))),
        marks.map((time) => svg("text", { x: x(time), y: HEIGHT - 4, "text-anchor": "middle" }, position(time))),
        lines.map((points, i) => svg("path", { class: `line line-${i}`, d: line(points.map(([time, level]) => [x(time), y(level), time]), gap) }))));
  }
}
