// What was not counted: by reason, searched, page by page, each with its bytes.

import { count, moment as at } from "./format.js";
import { html } from "./svg.js";
import { address, go, onState, state } from "./url.js";

const WORDS = { malformed: "malformed", too_late: "too late", from_future: "from the future", duplicate: "duplicate" };

export class Letters {
  constructor(ask) {
    const find = (id) => document.getElementById(id);
    this.ask = ask;
    [this.form, this.fate, this.search, this.list, this.hint, this.more] =
      ["letters-form", "fate", "letters-search", "letters", "letters-hint", "letters-more"].map(find);
    this.form.onsubmit = (event) => {
      event.preventDefault();
      go({ fate: this.fate.value, search: this.search.value.trim() });
    };
    this.fate.onchange = () => this.form.requestSubmit();
    this.more.onclick = () => this.look(this.cursor);
    onState(() => this.look());
    this.look();
  }

  // Whether somebody reads these, or waits for others.
  isRead() {
    return this.pending || this.list.children.length > 20 || this.list.contains(document.activeElement) || this.list.querySelector("[open]");
  }

  // Looks whether there are others now.
  refresh() {
    return this.isRead() ? null : this.look(null, true);
  }

  async look(cursor = null, again = false) {
    const { fate = "", search = "" } = state();
    // What is being typed is not taken away.
    if (!again) [this.fate.value, this.search.value] = [fate, search];
    const asked = (this.asked = {});
    this.pending = !again;
    try {
      const page = await this.ask(address("/ops/dead-letters", { fate, search, cursor, limit: "20" }));
      if (asked !== this.asked) return;
      // The same ones stay where they are: somebody may be about to open one.
      const shown = JSON.stringify([page.letters, page.next_cursor]);
      if (again && (shown === this.shown || this.isRead())) return;
      this.shown = cursor ? null : shown;
      this.cursor = page.next_cursor;
      this.more.hidden = !this.cursor;
      const items = page.letters.map((letter) => this.item(letter));
      if (cursor) this.list.append(...items);
      else this.list.replaceChildren(...items);
      this.hint.textContent = this.list.children.length > 0 ? "" : fate || search ? "Nothing matches." : "None: everything that was read was counted.";
      if (cursor) items[0]?.querySelector("summary").focus();
    } catch (error) {
      // The rest of the page says the same, and that it tries again.
      if (asked === this.asked && !again) this.hint.textContent = `${error.message}.`;
    } finally {
      if (asked === this.asked) this.pending = false;
    }
  }

  item({ partition, offset, index, time, fate, reason, size, text, hex }) {
    const place = `${partition}, offset ${offset}${index > 0 ? `, event ${index}` : ""}`;
    return html("li", {}, html("details", {},
      html("summary", {}, html("b", {}, WORDS[fate] ?? fate), ` ${reason} `, html("span", { class: "where" }, place)),
      html("p", { class: "where" }, `${count(size)} byte${size === 1 ? "" : "s"}${time ? `, event time ${at(Date.parse(time))}` : ""}`),
      html("pre", { tabindex: 0, "aria-label": "The record as text" }, text),
      hex ? html("pre", { tabindex: 0, "aria-label": "The record as hexadecimal digits" }, hex) : null));
  }
}
