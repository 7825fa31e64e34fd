// The state of a page is its address: what is chosen can be sent to somebody else, and "back" goes back.

const listeners = new Set();

export const state = () => Object.fromEntries(new URLSearchParams(location.search));

// An address with these parameters; those without a value are left out.
export function address(path, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== ""));
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

// Changes some parameters; `replace` where it is no step that one would go back from.
export function go(changes, { replace = false } = {}) {
  const next = address(location.pathname, { ...state(), ...changes });
  if (next === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", next);
  listeners.forEach((listener) => listener());
}

export function onState(listener) {
  listeners.add(listener);
  addEventListener("popstate", listener);
}

// Links to another state of this page change it in place; with a key held or another button they open as links do.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.target || link.download) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || url.pathname !== location.pathname || url.hash) return;
  event.preventDefault();
  if (url.search === location.search) return;
  history.pushState(null, "", url);
  listeners.forEach((listener) => listener());
});
