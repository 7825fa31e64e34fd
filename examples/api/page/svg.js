// Elements and lines, and no more of a charting library than is needed.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);
export const html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);

export const scale = (from, to, low, high) => (value) => low + ((value - from) / (to - from || 1)) * (high - low);

const round = (n) => Math.round(n * 10) / 10;

// A line through points, broken where `gap` says that two of them do not belong together.
export function line(points, gap = () => false) {
  return points.map(([x, y], i) => `${i === 0 || gap(points[i - 1], points[i]) ? "M" : "L"}${round(x)} ${round(y)}`).join("");
}

// The surface between an upper and a lower line: points are [x, upper, lower].
export function area(points, gap = () => false) {
  const runs = [];
  points.forEach((point, i) => {
    if (i === 0 || gap(points[i - 1], point)) runs.push([]);
    runs.at(-1).push(point);
  });
  const run = (run) =>
    `${line(run.map(([x, y]) => [x, y]))}L${line(run.toReversed().map(([x, , y]) => [x, y])).slice(1)}Z`;
  return runs.filter((points) => points.length > 1).map(run).join("");
}

// Round numbers that cover 0 to `greatest`, about `steps` of them.
export function ticks(greatest, steps) {
  const raw = (greatest || 1) / steps;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw);
  return Array.from({ length: Math.ceil(greatest / step - 1e-9) + 1 }, (_, i) => i * step);
}

// Calls `draw(width)` now and whenever the element's width changes.
export function onWidth(element, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now > 0 && now !== width) draw((width = now));
  }).observe(element);
  return () => width || element.clientWidth || 300;
}
