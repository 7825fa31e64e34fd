// Buttons that save what is shown as files.

import { askFile } from "./ask.js";
import { chapters, csv, edl, table } from "./markers.js";
import { html } from "./svg.js";
import { address } from "./url.js";

export function save(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = html("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const FORMATS = [
  { name: "CSV", title: "A table of these moments", end: "csv", type: "text/csv", make: csv },
  { name: "EDL", title: "Markers for a video editor, CMX3600 at 30 frames a second", end: "edl", type: "text/plain", make: edl },
  { name: "YouTube chapters", title: "Chapters for the description of a YouTube video; YouTube shows them if there are at least three", end: "txt", type: "text/plain", make: chapters },
];

export class Exports {
  constructor(root) {
    this.note = html("span", { class: "hint" });
    this.buttons = FORMATS.map((format) => {
      const button = html("button", { type: "button", class: "ghost", title: format.title, "data-format": format.end }, format.name);
      button.onclick = () => this.save(format);
      return button;
    });
    this.windows = html("button", { type: "button", class: "ghost", "data-format": "windows", title: "The figures of each window shown" }, "Windows as CSV");
    this.windows.onclick = () => this.saveWindows();
    this.files = [["windows", "Windows as Parquet", "metrics"], ["moments", "Moments as Parquet", "moments"]].map(([name, label, path]) => {
      const button = html("button", { type: "button", class: "ghost", "data-format": `${name}-parquet`, title: "All rows of the time shown, as a file for DuckDB, pandas or Spark" }, label);
      button.onclick = () => this.saveFile(button, name, path);
      return button;
    });
    root.append(html("span", {}, "Save as "), ...this.buttons, this.windows, ...this.files, this.note);
  }

  // What is shown, oldest first, counted from when the broadcast began; where that is not known, from the first window.
  draw(stream, began) {
    const { from, to } = stream.view;
    this.moments = stream.told.filter((moment) => !moment.isWithdrawn && (moment.ended ?? to) >= from && moment.started <= to).toReversed();
    this.began = began ?? stream.windows.find((window) => window.end > from)?.start ?? from;
    Object.assign(this, { id: stream.id, from, to });
    this.rows = stream.windows.filter((window) => window.end > from && window.end <= to);
    this.windows.disabled = this.rows.length === 0;
    for (const button of this.buttons) button.disabled = this.moments.length === 0;
    const note = this.moments.length > 0 && began === null ? "Positions count from the first minute shown, as it is not known when the stream began." : "";
    if (this.note.textContent !== note) this.note.textContent = note;
  }

  saveWindows() {
    const columns = ["window_start", "window_end", "chat_count", "chat_rate", "unique_chatters", "positive_count", "negative_count", "sentiment_score", "avg_viewers", "peak_viewers", "transaction_count", "revision"];
    const currencies = [...new Set(this.rows.flatMap((window) => Object.keys(window.transaction_amount)))].sort();
    const head = ["stream_id", ...columns, ...currencies.map((name) => `revenue_${name}`)];
    const rows = this.rows.map((window) => [this.id, ...columns.map((name) => window[name]), ...currencies.map((name) => window.transaction_amount[name] ?? "0")]);
    save(`${this.id.replace(/[^\w.-]/g, "_")}-windows.csv`, "text/csv", table(head, rows));
  }

  // The service writes the file, also of what the page does not hold.
  async saveFile(button, name, path) {
    const iso = (ms) => new Date(Math.max(0, ms)).toISOString();
    button.disabled = true;
    try {
      // The window that ends with the range is part of it.
      const file = await askFile(address(`/streams/${encodeURIComponent(this.id)}/${path}.parquet`, { from: iso(this.from), to: iso(this.to + 1) }));
      save(`${this.id.replace(/[^\w.-]/g, "_")}-${name}.parquet`, "application/vnd.apache.parquet", file);
    } catch (error) {
      this.note.textContent = `${error.message}.`;
    }
    button.disabled = false;
  }

  save({ end, type, make }) {
    const after = this.moments.filter((moment) => moment.started >= this.began);
    save(`${this.id.replace(/[^\w.-]/g, "_")}-moments.${end}`, type, make(after, this.began, this.id));
  }
}
