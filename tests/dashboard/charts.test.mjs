// What the charts and cards say is so: the baseline is the detector's, and a moment is on the chart of its own metric.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { baseline, critical } from "../../examples/api/page/baseline.js";
import { METRICS } from "../../examples/api/page/metrics.js";
import { accessible, open, start, stop } from "./browser.mjs";
import { Service, chat, gift, meta, viewers } from "./service.mjs";

const ask = async (service, path) => (await fetch(new URL(path, service.url))).json();

before(start);
after(stop);

test("the baseline that is drawn is the one that the detector used", async () => {
  const service = await Service.start("--port", "0", "--history", "90");
  try {
    let moments = [];
    // Once the past is there.
    for (let reached = 0; reached < Date.now() - 60_000; ) {
      const answer = await ask(service, "moments?order=strongest&limit=1000");
      [moments, reached] = [answer.moments, Date.parse(answer.as_of) || 0];
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    const found = new Map();
    for (const { stream_id: id } of moments) {
      if (found.has(id)) continue;
      const { metrics } = await ask(service, `streams/${id}/metrics?limit=5000`);
      const windows = metrics.map((row) => ({ ...row, start: Date.parse(row.window_start), end: Date.parse(row.window_end) }));
      found.set(id, windows);
    }
    const known = moments.map((row) => ({ ...row, started: Date.parse(row.started_at), peak: Date.parse(row.peak_at), ended: row.ended_at && Date.parse(row.ended_at) }));
    let compared = 0;
    for (const moment of known) {
      const metric = METRICS.find(({ types }) => types.includes(moment.moment_type));
      const windows = found.get(moment.stream_id);
      const of = known.filter(({ stream_id: id }) => id === moment.stream_id);
      // All of its samples have to be known here.
      if (moment.peak - windows[0].end < 62 * 60_000) continue;
      const band = baseline(metric, windows, of, moment.peak % 60_000).find(({ end }) => end === moment.peak);
      const drawn = metric.shown ? (band.mean / metric.shown(1, 60_000)) : band.mean;
      const scale = Math.max(Math.abs(moment.baseline_mean), 0.1);
      assert.ok(Math.abs(drawn - moment.baseline_mean) < 0.01 * scale, `${moment.moment_type} of ${moment.stream_id}: ${drawn} is drawn, ${moment.baseline_mean} was used`);
      compared += 1;
    }
    assert.ok(compared >= 2, `${compared} of ${known.length} could be compared`);
  } finally {
    assert.equal(await service.stop(), 0);
  }
});

test("windows that reach back to before the stream are no samples", () => {
  const [chat] = METRICS;
  const size = 60_000;
  // From 0 on 60 messages a minute: the first window has ten seconds of them.
  const windows = Array.from({ length: 12 * 6 }, (_, i) => {
    const end = (i + 1) * 10_000;
    const messages = Math.min(60, end / 1000);
    return { start: end - size, end, chat_count: messages, chat_rate: messages / 60 };
  });
  for (const after of [0, 10_000, 50_000]) {
    const bands = baseline(chat, windows, [], after);
    assert.ok(bands.length > 0);
    for (const { mean } of bands) assert.ok(Math.abs(mean - 1) < 1e-9, `${mean} messages a second, ${after} ms after the minute`);
  }
});

test("how far out a value has to be is Student's", () => {
  // From tables of the t distribution, at the tail that a normal has beyond 3: 0.00135.
  for (const [freedom, t] of [[7, 4.53], [14, 3.64], [29, 3.28], [1000, 3.005]]) {
    assert.ok(Math.abs(critical(3, freedom) - t) < 0.03, `${critical(3, freedom)} with ${freedom} degrees of freedom`);
  }
});

test("a moment is on the chart of its own metric, and in the row of its kind", async () => {
  const service = await Service.start("--port", "0", "--input", "-");
  try {
    const started = Date.now() - 16 * 60_000;
    const minute = (n) => started + n * 60_000;
    service.push([meta("ada", started, "stream_start", "Evening chat")]);
    for (let n = 0; n < 16; n += 1) {
      const audience = n === 13 ? 9000 : 1000 + (n % 2);
      service.push([...[0, 20, 40].map((s) => viewers("ada", minute(n) + s * 1000, audience)), ...chat("ada", minute(n), 20)]);
    }
    const page = await open(`${service.url}stream?id=ada&max_chance=1`, { reducedMotion: "reduce" });
    await page.locator('[data-testid="chart-viewers"] .span[data-tone="surge"]').waitFor();
    await page.locator('[data-testid="timeline"] [data-type="viewer_surge"] .mark').waitFor();
    assert.equal(await page.locator('[data-testid="flow"] .span[data-tone="surge"]').count(), 0, "not on the line of the chat");
    for (const type of ["chat_spike", "viewer_drop", "donation_surge", "sentiment_shift"]) {
      await page.locator(`[data-testid="timeline"] [data-type="${type}"] text`).waitFor();
    }
    // A point of the axis is the same time in the timeline and on the chart.
    const box = async (where) => page.locator(where).first().boundingBox();
    const [mark, span] = [await box('[data-type="viewer_surge"] .mark rect'), await box('[data-testid="chart-viewers"] .span rect')];
    assert.ok(Math.abs(mark.x - span.x) < 2, `${mark.x} and ${span.x}`);
    // By the keyboard.
    await page.locator('[data-type="viewer_surge"] .mark').focus();
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="chosen"]', { hasText: "Viewer surge" }).waitFor();
    await accessible(page, "a moment chosen in the timeline");
    // Where the pipeline says what carried it, that comes first.
    await page.route(/\/streams\/ada\/moments\?/, async (route) => {
      const response = await route.fetch();
      const json = await response.json();
      for (const moment of json.moments) {
        moment.context.carried = [
          { what: "viewers", name: "jump", now: 4000, usual: 1200 }, { what: "emote", name: "PogChamp", now: 0.75, usual: 0.02 },
          { what: "chatters", name: "", now: 9, usual: null }, { what: "messages_each", name: "", now: 13, usual: 2 },
          { what: "by_one", name: "", now: 0.4, usual: 0.1 }, { what: "word", name: "dragon", now: 0.5, usual: 0 },
          { what: "largest", name: "EUR", now: 500, usual: 5 }, { what: "raiders", name: "vera", now: 40, usual: 0.5 },
        ];
      }
      await route.fulfill({ response, json });
    });
    // And nothing tells the page of the moment as it really is.
    await page.routeWebSocket(/\/live\//, () => {});
    const chosen = new URL(page.url());
    chosen.searchParams.set("from", new Date(minute(5)).toISOString());
    chosen.searchParams.set("to", new Date(minute(15)).toISOString());
    await page.goto(chosen.href);
    await page.locator('[data-testid="chosen"] dl > div').first().filter({ hasText: /^Carried byfrom 1,200 to 4,000 viewers, PogChamp in 75 % of messages \(usually 2\.0 %\), 9 people wrote, 13 messages a person \(usually 2\), one user wrote 40 % of messages \(usually 10 %\), “dragon” in 50 % of messages \(usually 0\.0 %\), the largest €500\.00 \(usually €5\.00\), raiders vera 40 \(usually 0\.5\)$/ }).waitFor();
    assert.deepEqual(page.errors, []);
  } finally {
    await service.stop();
  }
});

test("emotes have areas and letters by count and a trend, and revenue is in the currency of one's choice", async () => {
  const service = await Service.start("--port", "0", "--input", "-");
  try {
    const started = Date.now() - 10 * 60_000;
    const minute = (n) => started + n * 60_000;
    const used = (n, name, count) => chat("ada", minute(n), count).map((event) => ({ ...event, emotes: [name] }));
    for (let n = 0; n < 10; n += 1) {
      const [many, few] = n < 6 ? [10, 80] : [160, 40];
      const events = [...used(n, "LUL", many), ...used(n, "Sadge", few), viewers("ada", minute(n), 100)];
      service.push(events.sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1)));
      service.push([gift("ada", minute(n) + 59_000, 2.5, "EUR"), gift("ada", minute(n) + 59_500, 4, "USD")]);
    }
    const page = await open(`${service.url}stream?id=ada`, { reducedMotion: "reduce" });
    const emote = (name) => page.locator('[data-testid="emotes"] li', { hasText: name });
    await emote("LUL").filter({ hasText: "▲" }).waitFor();
    await emote("Sadge").filter({ hasText: "▼" }).waitFor();
    await page.locator(".emotes .period", { hasText: /^from \d\d:\d\d:\d\d to \d\d:\d\d:\d\d$/ }).waitFor();
    const [large, small] = await Promise.all(["LUL", "Sadge"].map((name) => emote(name).evaluate((item) => {
      const letters = (node) => Number.parseFloat(getComputedStyle(node).fontSize);
      return { area: item.offsetWidth ** 2, letters: letters(item), count: Number.parseInt(item.querySelector(".times").textContent, 10) };
    })));
    assert.ok(Math.abs(large.area / small.area / (large.count / small.count) - 1) < 0.1, JSON.stringify([large, small]));
    assert.ok(large.letters > small.letters);

    await page.locator('[data-testid="revenue"]', { hasText: "€" }).waitFor();
    await page.locator(".amounts li", { hasText: "US$" }).waitFor();
    await page.locator(".revenue select").selectOption("USD");
    await page.locator('[data-testid="revenue"]', { hasText: "US$" }).waitFor();
    await page.locator(".amounts li", { hasText: "€" }).waitFor();
    await page.reload();
    await page.locator('[data-testid="revenue"]', { hasText: "US$" }).waitFor();
    // An audience that stands still is neither good nor bad.
    await page.locator(".pulse .trend", { hasText: /^0 % in 5 min$/ }).waitFor();
    assert.equal(await page.locator(".pulse .trend").getAttribute("data-side"), "");
    await accessible(page, "emotes and revenue");
    assert.deepEqual(page.errors, []);
  } finally {
    await service.stop();
  }
});
