// MomentsTimeline: what was found, newest first, and what late events made of it.

import { count, decimal, duration, kind, second, signed } from "./format.js";
import { html } from "./svg.js";

const MOST = 40;

const amount = (moment, value) =>
  moment.moment_type === "sentiment_shift" ? signed(value) : value < 100 && !Number.isInteger(value) ? decimal(value) : count(value);

function sentence(moment) {
  const { unit } = kind(moment.moment_type);
  return `${amount(moment, moment.value)} ${unit} where ${amount(moment, moment.baseline_mean)} ± ${amount(moment, moment.baseline_stddev).replace("+", "")} is usual`.replace("  ", " ");
}

// Of a hundred moments like this one, so many are chance.
function chance(moment) {
  if (moment.chance === null) return "chance not known yet";
  return moment.chance < 0.001 ? "chance below 0.1 %" : `chance ${decimal(moment.chance * 100, moment.chance < 0.1 ? 1 : 0)} %`;
}

export class Timeline {
  constructor(root) {
    this.list = html("ol", { class: "timeline", tabindex: 0, "aria-label": "Moments", "data-testid": "moments" });
    this.hint = html("p", { class: "hint" });
    root.append(this.list, this.hint);
  }

  draw(stream) {
    const moments = stream.told.slice(0, MOST);
    const hidden = stream.moments.size - stream.told.length;
    const more = hidden > 0 ? ` ${hidden} more may well be chance.` : "";
    this.hint.textContent = (moments.length > 0 ? "" : "Nothing out of the ordinary so far.") + more;
    this.list.hidden = moments.length === 0;
    const drawn = JSON.stringify([moments, hidden, Math.floor((stream.asOf ?? 0) / 10_000)]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.list.replaceChildren(...moments.map((moment) => this.item(moment, stream.asOf)));
  }

  item(moment, asOf) {
    const { label, mark, tone } = kind(moment.moment_type);
    const state = moment.isWithdrawn ? "withdrawn" : moment.ended === null ? "open" : "closed";
    const length = duration((moment.ended ?? asOf) - moment.started);
    const when = moment.isWithdrawn ? second(moment.started) : `${second(moment.started)} · ${state === "open" ? `for ${length}` : length}`;
    const was = moment.was === undefined || moment.was === moment.score ? "" : ` (score was ${decimal(moment.was)})`;
    const correction = moment.isWithdrawn ? "Withdrawn: with the events that came late it is nothing unusual."
      : moment.isCorrected ? `Corrected by late events${was}.` : "";
    return html("li", { "data-state": state, "data-tone": tone, "data-id": moment.moment_id, class: moment.isCorrected ? "corrected" : null },
      html("span", { class: "mark", "aria-hidden": "true" }, mark),
      html("div", { class: "body" },
        html("p", { class: "head" }, html("strong", {}, moment.isWithdrawn ? html("s", {}, label) : label),
          html("span", { class: "chip", "data-state": state }, state),
          moment.isCorrected && !moment.isWithdrawn ? html("span", { class: "chip", "data-state": "corrected" }, "corrected") : null),
        html("p", { class: "when" }, html("time", { datetime: moment.started_at }, when), ` · score ${decimal(Math.abs(moment.score))} · ${chance(moment)}`),
        html("p", { class: "why" }, sentence(moment)),
        correction ? html("p", { class: "correction" }, correction) : null));
  }
}
