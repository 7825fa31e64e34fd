// The moments of a stream, newest first, and what late events made of them.

import { decimal, duration, kind, moment as at } from "./format.js";
import { html } from "./svg.js";
import { address, state as here } from "./url.js";
import { around } from "./when.js";
import { chance, sentence, strength } from "./words.js";

const MOST = 40;

export class Moments {
  constructor(root) {
    this.list = html("ol", { class: "timeline", tabindex: 0, "aria-label": "Moments", "data-testid": "moments" });
    this.hint = html("p", { class: "hint" });
    root.append(this.list, this.hint);
  }

  draw(stream) {
    const moments = stream.told.slice(0, MOST);
    const kinds = [...stream.moments.values()].filter((moment) => stream.isOfType(moment.moment_type) && stream.isInView(moment));
    const unlikely = kinds.length - stream.told.length;
    const more = [
      stream.told.length > MOST ? `The newest ${MOST} of ${stream.told.length}.` : "",
      unlikely > 0 ? `${unlikely} more not shown: likely chance.` : "",
    ].filter(Boolean).join(" ");
    const hint = [moments.length > 0 ? "" : "No moments yet.", more].filter(Boolean).join(" ");
    if (this.hint.textContent !== hint) this.hint.textContent = hint;
    this.list.hidden = moments.length === 0;
    const drawn = JSON.stringify([moments, stream.chosen, location.search, Math.floor((stream.asOf ?? 0) / 10_000)]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const focused = this.list.contains(document.activeElement) ? document.activeElement.closest("li")?.dataset.id : null;
    this.list.replaceChildren(...moments.map((moment) => this.item(moment, stream)));
    if (focused) [...this.list.children].find((item) => item.dataset.id === focused)?.querySelector("a").focus();
  }

  item(moment, { asOf, chosen }) {
    const { label, mark, tone } = kind(moment.moment_type);
    const state = moment.isWithdrawn ? "withdrawn" : moment.ended === null ? "open" : "closed";
    const length = duration((moment.ended ?? asOf) - moment.started);
    const when = moment.isWithdrawn ? at(moment.started) : `${at(moment.started)} · ${state === "open" ? `for ${length}` : length}`;
    const was = moment.was === undefined || decimal(moment.was) === decimal(moment.score) ? "" : ` (score was ${decimal(moment.was)})`;
    const correction = moment.isWithdrawn ? "Withdrawn: with the late events counted, it is no longer unusual."
      : moment.isCorrected ? `Corrected by late events${was}.` : "";
    const href = address(location.pathname, { ...here(), moment: moment.moment_id, ...around(moment.started, moment.ended) });
    return html("li", { "data-chosen": moment.moment_id === chosen, "data-state": state, "data-tone": tone, "data-id": moment.moment_id, class: moment.isCorrected ? "corrected" : null },
      html("span", { class: "mark", "aria-hidden": "true" }, mark),
      html("div", { class: "body" },
        html("p", { class: "head" }, html("a", { href }, html("strong", {}, moment.isWithdrawn ? html("s", {}, label) : label)),
          html("span", { class: "chip", "data-state": state }, state),
          moment.isCorrected && !moment.isWithdrawn ? html("span", { class: "chip", "data-state": "corrected" }, "corrected") : null),
        html("p", { class: "when" }, html("time", { datetime: moment.started_at }, when), ` · ${strength(moment)} · ${chance(moment)}`),
        html("p", { class: "why" }, sentence(moment)),
        correction ? html("p", { class: "correction" }, correction) : null));
  }
}
