// The sentiment of the chat: where it is between negative and positive, what it is made of, and how it came about.

import { count, signed } from "./format.js";
import { area, html, line, onWidth, scale, svg } from "./svg.js";

const HEIGHT = 56;

export class Sentiment {
  constructor(root) {
    this.number = html("span", { class: "big", "data-testid": "sentiment" });
    this.word = html("span", { class: "trend" });
    this.needle = html("span", { class: "needle" });
    this.gauge = html("div", { class: "mood", role: "img" }, this.needle);
    this.parts = html("p", { class: "parts" });
    this.chart = svg("svg", { class: "spark", height: HEIGHT, "aria-hidden": "true" });
    root.append(html("p", { class: "headline" }, this.number, this.word), this.gauge, this.parts, this.chart);
    this.width = onWidth(root, () => this.stream && this.draw(this.stream));
  }

  draw(stream) {
    this.stream = stream;
    const current = stream.current;
    const score = current?.sentiment_score ?? null;
    this.number.textContent = score === null ? "–" : signed(score);
    this.word.textContent = score === null ? "no messages yet" : score > 0.15 ? "positive" : score > 0.05 ? "rather positive" : score < -0.15 ? "negative" : score < -0.05 ? "rather negative" : "neutral";
    // Means of many messages are small: the gauge shows ± 0.5.
    this.needle.style.left = `${50 + 100 * Math.max(-0.5, Math.min(0.5, score ?? 0))}%`;
    this.needle.hidden = score === null;
    const { chat_count: all = 0, positive_count: good = 0, negative_count: bad = 0 } = current ?? {};
    this.parts.replaceChildren(
      html("span", { class: "good" }, `${count(good)} positive`), html("span", {}, `${count(all - good - bad)} neutral`),
      html("span", { class: "bad" }, `${count(bad)} negative`));
    this.gauge.setAttribute("aria-label",
      score === null ? "No messages in the last minute" : `Mean sentiment ${signed(score)} on a scale from −1 to +1; the bar shows −0.5 to +0.5`);
    this.spark(stream);
  }

  spark(stream) {
    const width = this.width();
    const { from, to } = stream.view;
    const windows = stream.since(from).filter((window) => window.sentiment_score !== null);
    const greatest = Math.max(0.2, ...windows.map((window) => Math.abs(window.sentiment_score)));
    const x = scale(from, to, 0, width - 4);
    const y = scale(-greatest, greatest, HEIGHT - 3, 3);
    const gap = (a, b) => b[3] - a[3] > 60_000;
    const side = (pick) => windows.map((window) => [x(window.end), y(pick(window.sentiment_score, 0)), y(0), window.end]);
    this.chart.setAttribute("width", width);
    this.chart.replaceChildren(
      svg("path", { class: "surface good", d: area(side(Math.max), gap) }),
      svg("path", { class: "surface bad", d: area(side(Math.min), gap) }),
      svg("line", { class: "axis", x1: 0, x2: width, y1: y(0), y2: y(0) }),
      svg("path", { class: "line thin", d: line(side((score) => score), gap) }));
  }
}
