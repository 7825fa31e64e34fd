// EmoteCloud: a bubble for each of the emotes used most, its surface by how often.

import { count } from "./format.js";
import { html, onWidth } from "./svg.js";

const HEIGHT = 260;
const GAP = 3;

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

// The same colour for the same name.
function hue(name) {
  let hash = 7;
  for (const c of name) hash = (hash * 31 + c.codePointAt(0)) % 3600;
  return hash / 10;
}

export class Emotes {
  constructor(root) {
    this.list = html("ul", { class: "cloud", "data-testid": "emotes" });
    this.hint = html("p", { class: "hint" });
    root.append(this.list, this.hint);
    this.width = onWidth(root, () => this.stream && this.draw(this.stream));
    this.bubbles = new Map();
  }

  clear() {
    this.bubbles.clear();
    this.list.replaceChildren();
  }

  draw(stream) {
    this.stream = stream;
    const emotes = stream.current?.top_emotes ?? [];
    this.hint.textContent = emotes.length > 0 ? "" : "No emotes in the last minute";
    this.list.hidden = emotes.length === 0;
    const width = this.width();
    const roots = emotes.map(({ count }) => Math.sqrt(count));
    const ratio = Math.min(2, width / HEIGHT);
    const placed = pack(roots.map((root) => 12 + (30 * root) / (roots[0] || 1)), ratio);
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
        fontSize: `${Math.max(9, Math.min(size / 4.2, (size * 1.3) / Math.max(4, emote.name.length)))}px`,
      });
      bubble.title = `${emote.name}: ${count(emote.count)}`;
      bubble.children[0].textContent = emote.name;
      bubble.children[1].textContent = count(emote.count);
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
