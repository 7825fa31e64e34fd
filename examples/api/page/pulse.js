// PulseBar: how many watch, how that compares with the most there were, and how it came about.

import { compact, count, duration, signed } from "./format.js";
import { area, html, line, onWidth, scale, svg } from "./svg.js";

const HEIGHT = 56;
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Pulse {
  constructor(root) {
    this.number = html("span", { class: "big", "data-testid": "viewers" });
    this.trend = html("span", { class: "trend" });
    this.bar = html("span", { class: "fill" });
    this.peak = html("p", { class: "peak" });
    this.gauge = html("div", { class: "gauge", role: "img" }, this.bar);
    this.chart = svg("svg", { class: "spark", height: HEIGHT, "aria-hidden": "true" });
    root.append(html("p", { class: "headline" }, this.number, this.trend), this.gauge, this.peak, this.chart);
    this.width = onWidth(root, () => this.stream && this.draw(this.stream));
    this.shown = null;
  }

  clear() {
    this.shown = null;
  }

  draw(stream) {
    this.stream = stream;
    const { from, to } = stream.view;
    const windows = stream.since(from).filter((window) => window.avg_viewers !== null);
    const span = duration(to - from);
    const current = stream.current?.avg_viewers ?? null;
    const greatest = Math.max(0, ...windows.map((window) => window.peak_viewers));
    if (current === null) {
      this.number.textContent = "–";
      this.trend.textContent = "";
      this.shown = null;
    } else {
      this.count(current);
      const before = windows.findLast((window) => window.end <= stream.current.end - 300_000)?.avg_viewers;
      const change = before ? (100 * (current - before)) / before : null;
      const said = change === null ? "" : signed(change, 0);
      this.trend.textContent = said && `${said} % in 5 min`;
      this.trend.dataset.side = said.startsWith("+") ? "up" : said.startsWith("−") ? "down" : "";
    }
    this.bar.style.width = `${greatest > 0 ? (100 * (current ?? 0)) / greatest : 0}%`;
    this.peak.textContent = greatest > 0 ? `highest single count in ${span}: ${count(greatest)}` : "no viewer counts yet";
    this.gauge.setAttribute("aria-label",
      current === null ? "No viewers are known" : `${count(current)} viewers; the greatest count in ${span} is ${count(greatest)}`);
    this.spark(windows, from, to);
  }

  // Runs to the new number rather than jumping there.
  count(target) {
    const from = this.shown ?? target;
    this.shown = target;
    cancelAnimationFrame(this.frame);
    if (still.matches || from === target || document.hidden) {
      this.number.textContent = compact(target);
      return;
    }
    const began = performance.now();
    const step = (now) => {
      const part = Math.min(1, Math.max(0, (now - began) / 700));
      this.number.textContent = compact(from + (target - from) * (1 - (1 - part) ** 3));
      if (part < 1) this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  spark(windows, from, to) {
    const width = this.width();
    const x = scale(from, to, 0, width - 4);
    const levels = windows.map((window) => window.avg_viewers);
    const [least, most] = [Math.min(...levels), Math.max(...levels)];
    // What moves is shown, and not how far it is from nothing: that is the bar's part.
    const y = scale(Math.max(0, least - (most - least) / 2 - least / 50), most + most / 50, HEIGHT - 2, 4);
    const gap = (a, b) => b[3] - a[3] > 60_000;
    const points = windows.map((window) => [x(window.end), y(window.avg_viewers), HEIGHT, window.end]);
    const last = points.at(-1);
    this.chart.setAttribute("width", width);
    this.chart.replaceChildren(
      svg("path", { class: "surface", d: area(points, gap) }),
      svg("path", { class: "line", d: line(points, gap) }),
      ...(last ? [svg("circle", { class: "beat", cx: last[0], cy: last[1], r: 3.5 })] : []));
  }
}
