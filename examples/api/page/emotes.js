// EmoteCloud: a bubble for each of the emotes used most. Its area and the size of its letters are by how often, and an arrow says
// whether that was more or less five minutes before.

import { count, second } from "./format.js";
import { html, onWidth } from "./svg.js";

const HEIGHT = 260;
const GAP = 3;
const BEFORE = 300_000;
// The smallest and the largest letters, in pixels.
const LETTERS = [9, 28];

// The greatest in the middle, each next where it fits nearest to it.
function pack(radii, ratio) {
  const placed = [];
  for (const r of radii) {
    let best = null;
    for (let turn = 0; turn < 360 && placed.length > 0; turn += 10) {
      const angle = (turn * Math.PI) / 180;
      for (const other of placed) {
        const x = other.x + Math.cos(angle) * (other.r + r + GAP);
        const y = other.y + Math.sin(angle) * (other.r + r + GAP);
        const far = Math.hypot(x / ratio, y);
        const fits = placed.every((p) => Math.hypot(p.x - x, p.y - y) >= p.r + r + GAP - 0.01);
        if (fits && (best === null || far < best.far)) best = { x, y, r, far };
      }
    }
    placed.push(best ?? { x: 0, y: 0, r });
  }
  return placed;
}

// Five minutes before: more, less, or about as many. A difference within the scatter of a count is none.
function trend({ name, count: now }, before) {
  if (!before) return { side: "", arrow: "", words: "" };
  const then = before.top_emotes.find((emote) => emote.name === name)?.count ?? 0;
  const difference = now - then;
  if (Math.abs(difference) <= 2 * Math.sqrt(Math.max(now, then))) return { side: "same", arrow: "", words: "about as often as 5 minutes before" };
  return difference > 0 ? { side: "up", arrow: " ▲", words: `up from ${count(then)} 5 minutes before` } : { side: "down", arrow: " ▼", words: `down from ${count(then)} 5 minutes before` };
}

// How wide a name is at most in bold letters, in times of their size: capitals are the widest.
const ems = (name) => [...name].reduce((sum, letter) => sum + (/\p{Lu}/u.test(letter) ? 0.95 : 0.74), 0);

// The same colour for the same name.
function hue(name) {
  let hash = 7;
  for (const c of name) hash = (hash * 31 + c.codePointAt(0)) % 3600;
  return hash / 10;
}

export class Emotes {
  constructor(root) {
    this.list = html("ul", { class: "cloud", "data-testid": "emotes" });
    this.period = html("p", { class: "period" });
    root.append(this.period, this.list);
    this.width = onWidth(root, () => this.stream && this.draw(this.stream));
    this.bubbles = new Map();
  }

  clear() {
    this.bubbles.clear();
    this.list.replaceChildren();
  }

  draw(stream) {
    this.stream = stream;
    const { current } = stream;
    const emotes = current?.top_emotes ?? [];
    const period = !current ? "no messages in the last minute" : `${emotes.length > 0 ? "" : "no emotes "}from ${second(current.start)} to ${second(current.end)}`;
    if (this.period.textContent !== period) this.period.textContent = period;
    const before = stream.windows.findLast((window) => current && window.end <= current.end - BEFORE && window.end > current.end - 2 * BEFORE);
    this.list.hidden = emotes.length === 0;
    const width = this.width();
    const roots = emotes.map(({ count }) => Math.sqrt(count));
    const ratio = Math.min(2, width / HEIGHT);
    const placed = pack(roots.map((root) => (42 * root) / (roots[0] || 1)), ratio);
    const left = Math.min(...placed.map((p) => p.x - p.r)), right = Math.max(...placed.map((p) => p.x + p.r));
    const top = Math.min(...placed.map((p) => p.y - p.r)), bottom = Math.max(...placed.map((p) => p.y + p.r));
    const zoom = Math.min((width - 4) / (right - left), (HEIGHT - 4) / (bottom - top), 2.2);
    const seen = new Set();
    emotes.forEach((emote, i) => {
      seen.add(emote.name);
      const bubble = this.bubbles.get(emote.name) ?? this.bubble(emote.name);
      const { x, y, r } = placed[i];
      const size = 2 * r * zoom;
      const at = [width / 2 + (x - (left + right) / 2) * zoom, HEIGHT / 2 + (y - (top + bottom) / 2) * zoom];
      Object.assign(bubble.style, {
        width: `${size}px`, height: `${size}px`,
        transform: `translate(${at[0] - size / 2}px, ${at[1] - size / 2}px)`,
        // By how often, as far as the name has room.
        fontSize: `${Math.max(LETTERS[0], Math.min((LETTERS[1] * roots[i]) / (roots[0] || 1), (size * 0.92) / Math.max(2.4, ems(emote.name))))}px`,
      });
      const { side, arrow, words } = trend(emote, before);
      bubble.title = `${emote.name}: ${count(emote.count)}${words ? `, ${words}` : ""}`;
      bubble.dataset.trend = side;
      bubble.children[0].textContent = emote.name;
      bubble.children[1].replaceChildren(count(emote.count), html("span", { "aria-hidden": "true", class: "arrow" }, arrow), html("span", { class: "hidden" }, words && `, ${words}`));
    });
    for (const [name, bubble] of this.bubbles) {
      if (!seen.has(name)) {
        bubble.remove();
        this.bubbles.delete(name);
      }
    }
    // For those who hear it: by count.
    if (emotes.some((emote, i) => this.bubbles.get(emote.name) !== this.list.children[i])) {
      this.list.replaceChildren(...emotes.map((emote) => this.bubbles.get(emote.name)));
    }
  }

  bubble(name) {
    const bubble = html("li", {}, html("span", { class: "emote" }), html("span", { class: "times" }));
    bubble.style.setProperty("--hue", hue(name));
    this.bubbles.set(name, bubble);
    return bubble;
  }
}
