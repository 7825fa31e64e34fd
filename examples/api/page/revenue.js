// What was paid: by currency, as coins and money have no common sum; one of them in large, and over time.

import { count, duration, minute, money } from "./format.js";
import { html, onWidth, scale, svg } from "./svg.js";
import { go, state } from "./url.js";

const HEIGHT = 56;
const KEPT = "currency";
const MOST = 60;

export class Revenue {
  constructor(root) {
    this.large = html("p", { class: "big", "data-testid": "revenue" });
    this.others = html("ul", { class: "amounts" });
    this.choice = html("select", { "aria-label": "Main currency" });
    this.choice.onchange = () => {
      localStorage.setItem(KEPT, this.choice.value);
      go({ currency: this.choice.value }, { replace: true });
      this.draw(this.stream);
    };
    this.note = html("p", { class: "peak" });
    this.chart = svg("svg", { class: "spark", height: HEIGHT, role: "img" });
    root.append(html("p", { class: "headline" }, this.large, this.choice), this.others, this.note, this.chart);
    this.width = onWidth(root, () => this.stream && this.draw(this.stream));
  }

  draw(stream) {
    this.stream = stream;
    const { from, to } = stream.view;
    // Windows that overlap would count a gift several times.
    const windows = stream.disjoint(from).filter((window) => window.start >= from && window.end <= to);
    const sums = new Map();
    for (const window of windows) {
      for (const [currency, amount] of Object.entries(window.transaction_amount)) {
        sums.set(currency, (sums.get(currency) ?? 0) + Number(amount));
      }
    }
    const paid = windows.reduce((sum, window) => sum + window.transaction_count, 0);
    const wish = state().currency ?? localStorage.getItem(KEPT);
    const names = [...new Set([...(wish ? [wish] : []), ...sums.keys()])].sort((a, b) => (a === "bits") - (b === "bits") || (a < b ? -1 : 1));
    const chosen = wish ?? names[0];
    this.options(names, chosen);
    this.large.textContent = chosen ? money(sums.get(chosen) ?? 0, chosen) : "–";
    this.others.replaceChildren(...names.filter((name) => name !== chosen).map((name) => html("li", {}, money(sums.get(name) ?? 0, name))));
    this.note.textContent = paid > 0 ? `${count(paid)} transaction${paid === 1 ? "" : "s"} in ${duration(to - from)}` : `no transactions in ${duration(to - from)}`;
    this.bars(windows, from, to, chosen);
  }

  options(names, chosen) {
    this.choice.hidden = names.length < 2;
    if (this.choice.dataset.names !== names.join()) {
      this.choice.dataset.names = names.join();
      this.choice.replaceChildren(...names.map((name) => html("option", { value: name }, name)));
    }
    if (chosen) this.choice.value = chosen;
  }

  // Of the chosen currency: minutes, or as many of them together as make a column wide enough to see.
  bars(windows, from, to, currency) {
    const width = this.width();
    const step = Math.max(1, Math.ceil((to - from) / 60_000 / MOST)) * 60_000;
    const sums = new Map();
    for (const window of windows) {
      const amount = Number(window.transaction_amount[currency] ?? 0);
      const place = Math.floor((window.end - 1) / step) * step;
      if (amount > 0) sums.set(place, (sums.get(place) ?? 0) + amount);
    }
    const greatest = Math.max(0, ...sums.values());
    const x = scale(from, to, 0, width), y = scale(0, greatest || 1, 0, HEIGHT - 4);
    const bar = Math.max(2, (width * step) / (to - from) - 2);
    this.chart.setAttribute("width", width);
    this.chart.setAttribute("aria-label", greatest > 0 ? `Revenue over time, at most ${money(greatest, currency)} in ${duration(step)}` : "Revenue over time: none");
    this.chart.replaceChildren(...[...sums].map(([start, amount]) => {
      const height = Math.max(2, y(amount));
      return svg("rect", { class: "column", x: Math.max(0, x(start)) + 1, y: HEIGHT - height, width: bar, height, rx: 2 }, svg("title", {}, `${minute(start)}: ${money(amount, currency)}`));
    }));
  }
}
