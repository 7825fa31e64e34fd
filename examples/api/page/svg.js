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
  const run = (run) =>
    `${line(run.map(([x, y]) => [x, y]))}L${line(run.toReversed().map(([x, , y]) => [x, y])).slice(1)}Z`;
  return runs(points, gap).filter((points) => points.length > 1).map(run).join("");
}

// Points in runs that belong together.
function runs(items, apart) {
  const all = [];
  items.forEach((item, i) => {
    if (i === 0 || apart(items[i - 1], item)) all.push([]);
    all.at(-1).push(item);
  });
  return all;
}

// A smooth line through points that are in order of x. It does not go beyond them (Fritsch and Butland 1984).
function smooth(points) {
  if (points.length < 3) return line(points).slice(1);
  const slope = (a, b) => (b[1] - a[1]) / (b[0] - a[0] || 1);
  const tangents = points.map((point, i) => {
    if (i === 0) return slope(point, points[1]);
    if (i === points.length - 1) return slope(points[i - 1], point);
    const [before, after] = [slope(points[i - 1], point), slope(point, points[i + 1])];
    return before * after <= 0 ? 0 : (2 * before * after) / (before + after);
  });
  return points.map(([x, y], i) => {
    if (i === 0) return `${round(x)} ${round(y)}`;
    const [x0, y0] = points[i - 1];
    const third = (x - x0) / 3;
    return `C${round(x0 + third)} ${round(y0 + third * tangents[i - 1])} ${round(x - third)} ${round(y - third * tangents[i])} ${round(x)} ${round(y)}`;
  }).join("");
}

// A smooth line through items at `place(item)`, broken where two are `apart`.
export const curve = (items, apart, place) =>
  runs(items, apart).filter((run) => run.length > 1).map((run) => `M${smooth(run.map(place))}`).join("");

// The surface between two smooth lines: `place(item)` is [x, upper, lower].
export function span(items, apart, place) {
  const surface = (points) => {
    const lower = points.map(([x, , y]) => [x, y]).toReversed();
    return `M${smooth(points.map(([x, y]) => [x, y]))}L${smooth(lower)}Z`;
  };
  return runs(items, apart).filter((run) => run.length > 1).map((run) => surface(run.map(place))).join("");
}

// Round numbers that cover a range, about `steps` of them.
export function ticks(least, greatest, steps) {
  const raw = (greatest - least || Math.abs(greatest) || 1) / steps;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const first = Math.floor(least / step + 1e-9), last = Math.max(first + 1, Math.ceil(greatest / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

// How many decimals tell multiples of a step apart.
export const placesOf = (step) => [0, 1, 2].find((places) => Math.abs(step * 10 ** places - Math.round(step * 10 ** places)) < 1e-6) ?? 3;

// Calls `draw(width)` now and whenever the element's width changes.
export function onWidth(element, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now > 0 && now !== width) draw((width = now));
  }).observe(element);
  return () => width || element.clientWidth || 300;
}
