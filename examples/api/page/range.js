// Which time is shown: the last minutes, or a range of the past.

import { date } from "./format.js";
import { LONGEST } from "./past.js";
import { html } from "./svg.js";
import { go } from "./url.js";

const SPANS = [10, 30, 60, 120];

// What a field for local time takes.
function local(ms) {
  const moved = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return moved.toISOString().slice(0, 16);
}

export class Range {
  constructor(root) {
    this.buttons = SPANS.map((minutes) => {
      const button = html("button", { type: "button", "data-minutes": minutes }, `${minutes} min`);
      button.onclick = () => go({ span: minutes === 30 ? null : String(minutes), from: null, to: null, moment: null });
      return button;
    });
    this.from = html("input", { type: "datetime-local", "aria-label": "From", required: true });
    this.to = html("input", { type: "datetime-local", "aria-label": "To", required: true });
    this.error = html("span", { class: "wrong", role: "status" });
    const form = html("form", {}, html("label", {}, "From ", this.from), html("label", {}, "To ", this.to),
      html("button", { type: "submit", class: "ghost" }, "Show"), this.error);
    form.onsubmit = (event) => {
      event.preventDefault();
      this.choose(Date.parse(this.from.value), Date.parse(this.to.value));
    };
    this.summary = html("summary", {}, "Choose a time");
    this.picker = html("details", { class: "picker" }, this.summary, form);
    this.say = html("p", { class: "shown", "data-testid": "range" });
    root.append(html("div", { class: "spans", role: "group", "aria-label": "How much of the past" }, ...this.buttons), this.picker, this.say);
  }

  choose(from, to) {
    const wrong = !(from < to) ? "It has to begin before it ends." : to - from > LONGEST ? "At most seven days can be shown at once." : "";
    this.error.textContent = wrong;
    if (wrong) return;
    this.picker.open = false;
    go({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), moment: null, span: null });
  }

  draw({ range, span, view }) {
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", String(!range && Number(button.dataset.minutes) * 60_000 === span));
    }
    if (!this.picker.open && view.to > 0) [this.from.value, this.to.value] = [local(view.from), local(view.to)];
    const text = range ? `${date(range.from)} to ${date(range.to)}` : "";
    if (this.say.dataset.text === text) return;
    this.say.dataset.text = text;
    const back = html("button", { type: "button", class: "ghost" }, "Back to now");
    back.onclick = () => go({ from: null, to: null, moment: null });
    this.say.replaceChildren(...(text ? [html("strong", {}, text), " ", back] : []));
  }
}
