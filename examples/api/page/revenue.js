// What was paid: by currency, as coins and money have no common sum, and how often.

import { count, minute, money } from "./format.js";
import { html, onWidth, scale, svg } from "./svg.js";

const SPAN = 1_800_000;
const HEIGHT = 56;

export class Revenue {
  constructor(root) {
    this.amounts = html("ul", { class: "amounts", "data-testid": "revenue" });
    this.note = html("p", { class: "peak" });
    this.chart = svg("svg", { class: "spark", height: HEIGHT, role: "img" });
    root.append(this.amounts, this.note, this.chart);
    this.width = onWidth(root, () => this.stream && this.draw(this.stream));
  }

  draw(stream) {
    this.stream = stream;
    // Windows that overlap would count a gift several times.
    const windows = stream.disjoint(stream.asOf - SPAN).filter((window) => window.start >= stream.asOf - SPAN);
    const sums = new Map();
    for (const window of windows) {
      for (const [currency, amount] of Object.entries(window.transaction_amount)) {
        sums.set(currency, (sums.get(currency) ?? 0) + Number(amount));
      }
    }
    const paid = windows.reduce((sum, window) => sum + window.transaction_count, 0);
    const items = [...sums].sort(([a], [b]) => (a === "bits") - (b === "bits") || (a < b ? -1 : 1));
    this.amounts.replaceChildren(...(items.length > 0
      ? items.map(([currency, amount], i) => html("li", { class: i === 0 ? "first" : null }, money(amount, currency)))
      : [html("li", { class: "first" }, "–")]));
    this.note.textContent = `${count(paid)} transaction${paid === 1 ? "" : "s"} in 30 min`;
    this.bars(stream, windows);
  }

  bars(stream, windows) {
    const width = this.width();
    const size = stream.latest ? stream.latest.end - stream.latest.start : 60_000;
    const greatest = Math.max(1, ...windows.map((window) => window.transaction_count));
    const x = scale(stream.asOf - SPAN, stream.asOf, 0, width);
    const y = scale(0, greatest, 0, HEIGHT - 4);
    const bar = Math.max(2, (width * size) / SPAN - 3);
    this.chart.setAttribute("width", width);
    this.chart.setAttribute("aria-label", `Transactions a minute, at most ${greatest}`);
    this.chart.replaceChildren(...windows.map((window) => {
      const height = Math.max(window.transaction_count ? 2 : 0, y(window.transaction_count));
      const label = `${minute(window.start)}: ${window.transaction_count} transactions`;
      return svg("rect", { class: "column", x: x(window.start) + 1.5, y: HEIGHT - height, width: bar, height, rx: 2 }, svg("title", {}, label));
    }));
  }
}
