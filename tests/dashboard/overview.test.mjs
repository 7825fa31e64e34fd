// The overview: somebody looks for what happened, finds it, sends it on, and takes it along.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { accessible, everywhere, open, start, stop } from "./browser.mjs";
import { Service, chat, meta, viewers } from "./service.mjs";

const HOUR = 3_600_000;

before(start);
after(stop);

// Three in the night that is over, in UTC.
function night() {
  const at = new Date();
  if (at.getUTCHours() < 6) at.setUTCDate(at.getUTCDate() - 1);
  return at.setUTCHours(3, 0, 0, 0);
}

// Two streams that began at midnight; at three, one spike in each, and in one of them a second, much stronger one.
async function lastNight(service) {
  const three = night();
  const began = three - 3 * HOUR;
  const minute = (n) => three + n * 60_000;
  service.push([meta("ada", began, "stream_start", "Night shift"), meta("bob", began, "stream_start", "Piano")]);
  const rate = (id, n) => (id === "ada" ? { 20: 120, 40: 260 }[n] : { 25: 110 }[n]) ?? 20;
  for (let n = 0; n < 60; n += 1) {
    for (const id of ["ada", "bob"]) service.push([viewers(id, minute(n), 100 + (n % 2)), ...chat(id, minute(n), rate(id, n))]);
  }
  return { three, began };
}

async function clicks(page) {
  await page.addInitScript(() => addEventListener("click", (event) => {
    if (event.isTrusted) sessionStorage.setItem("clicks", String(Number(sessionStorage.getItem("clicks") ?? 0) + 1));
  }, true));
  await page.reload();
  return () => page.evaluate(() => Number(sessionStorage.getItem("clicks") ?? 0));
}

test("last night's strongest moment of a stream is three clicks away, and can be sent on", async () => {
  const service = await Service.start("--port", "0", "--input", "-");
  try {
    const { three, began } = await lastNight(service);
    const page = await open(service.url, { timezoneId: "UTC", reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"] });
    const counted = await clicks(page);
    await page.locator('[data-testid="all"] li', { hasText: "ada" }).waitFor();
    // The spike has to have been found.
    const probe = async () => (await (await fetch(`${service.url}moments?stream_id=ada&max_chance=0.1&type=chat_spike`)).json()).moments;
    while ((await probe()).length < 2) await page.waitForTimeout(200);

    await page.getByRole("button", { name: "Last night" }).click();
    await page.locator('[data-testid="all"] li[data-id="ada"] .only').click();
    await page.locator('[data-testid="found"] li a', { hasText: "Chat spike" }).first().click();
    assert.equal(await counted(), 3);

    const chosen = page.locator('[data-testid="chosen"]');
    await chosen.waitFor();
    const strongest = (await probe()).toSorted((a, b) => b.score - a.score)[0];
    const url = new URL(page.url());
    assert.equal(url.searchParams.get("moment"), strongest.moment_id, "it is the strongest");
    const from = Date.parse(strongest.started_at);
    assert.ok(from > three + 38 * 60_000 && from < three + 42 * 60_000);
    const into = new Date(from - began).toISOString().slice(12, 19);
    await chosen.locator(".into", { hasText: `${into} into the stream` }).waitFor();
    await chosen.locator(".facts", { hasText: "Kappa" }).waitFor();
    // The spike before it is none of what is usual.
    await chosen.locator(".facts div", { hasText: /^Messages260 \(usual 20\)$/ }).waitFor();
    assert.match(await chosen.textContent(), /260 messages a minute, where \d+(\.\d)? ± [\d.]+ is usual/);
    // The chart is about the moment: it begins and ends near it, and the moment is marked on it.
    assert.ok(Date.parse(url.searchParams.get("from")) < from && from - Date.parse(url.searchParams.get("from")) < HOUR / 2);
    await page.locator('[data-testid="flow"] .span[data-chosen]').waitFor();
    await page.locator('[data-testid="timeline"] [data-type="chat_spike"] .mark[data-chosen]').waitFor();
    await accessible(page, "a chosen moment");
    if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/moment.png` });

    // The link has it all.
    await chosen.getByRole("button", { name: "Copy link" }).click();
    await chosen.getByRole("button", { name: "Copied" }).waitFor();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    const other = await open(link, { timezoneId: "UTC" });
    await other.locator('[data-testid="chosen"]', { hasText: `${into} into the stream` }).waitFor();
    await other.locator('[data-testid="flow"] .span[data-chosen]').waitFor();
    assert.deepEqual(other.errors, []);

    // And back again: to the moment before it, to the list, and to all streams.
    await chosen.getByRole("button", { name: "Previous" }).click();
    await page.waitForURL((now) => now.searchParams.get("moment") !== strongest.moment_id);
    await chosen.locator(".why", { hasText: /^120 messages a minute/ }).waitFor();
    await page.goBack();
    await chosen.locator(".why", { hasText: /^260 messages a minute/ }).waitFor();
    await page.goBack();
    await page.locator("#only a", { hasText: "Only ada" }).waitFor();
    await page.goBack();
    await page.locator('[data-testid="found"] li', { hasText: "bob" }).first().waitFor();
    await page.getByRole("button", { name: "Last night", pressed: true }).waitFor();
    assert.deepEqual(page.errors, []);
  } finally {
    await service.stop();
  }
});

test("moments are saved as a table, as an edit decision list, and as chapters", async () => {
  const service = await Service.start("--port", "0", "--input", "-");
  try {
    const { three } = await lastNight(service);
    const range = new URLSearchParams({ from: new Date(three).toISOString(), to: new Date(three + HOUR).toISOString() });
    const page = await open(`${service.url}stream?id=ada&max_chance=1&type=chat_spike&${range}`, { timezoneId: "UTC" });
    const save = async (name) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name, exact: true }).click()]);
      return [download.suggestedFilename(), await readFile(await download.path(), "utf8")];
    };
    await page.locator('[data-testid="moments"] li', { hasText: "Chat spike" }).nth(1).waitFor();
    const shown = await page.locator('[data-testid="moments"] li').count();

    const [table, csv] = await save("CSV");
    assert.equal(table, "ada-moments.csv");
    const rows = csv.trimEnd().split("\r\n").map((row) => row.split(","));
    assert.deepEqual(rows[0], ["stream_id", "moment_id", "type", "started_at", "ended_at", "into_stream", "value", "usual", "score", "chance"]);
    assert.equal(rows.length, shown + 1);
    const strongest = rows.find((row) => row[6] === "260");
    assert.match(strongest[5], /^3:(39|40|41):\d\d$/);

    const [, edl] = await save("EDL");
    const lines = edl.split("\n");
    assert.deepEqual(lines.slice(0, 3), ["TITLE: ada", "FCM: NON-DROP FRAME", ""]);
    const events = lines.filter((line) => /^\d{3} /.test(line));
    assert.equal(events.length, shown);
    for (const event of events) assert.match(event, /^\d{3}  AX       V     C        (\d\d:\d\d:\d\d:\d\d) (\d\d:\d\d:\d\d:\d\d) \1 \2$/);
    assert.ok(events.some((event) => event.includes(`0${strongest[5]}:00`)), `${strongest[5]} is in ${edl}`);
    assert.match(edl, / \|C:ResolveColorRed \|M:Chat spike, score [\d.]+ \|D:\d+\n\* LOC: /);

    const [, chapters] = await save("YouTube chapters");
    const times = chapters.trimEnd().split("\n").map((line) => line.match(/^(\d):(\d\d):(\d\d) \S/).slice(1).map(Number));
    const seconds = times.map(([h, m, s]) => h * 3600 + m * 60 + s);
    assert.equal(seconds[0], 0, "the first chapter begins at the start");
    assert.ok(seconds.every((second, i) => i === 0 || second - seconds[i - 1] >= 10), chapters);
    assert.ok(chapters.includes(`${strongest[5]} Chat spike`));
    assert.deepEqual(page.errors, []);
  } finally {
    await service.stop();
  }
});

test("the overview shows all streams and what is open, filters it, and says who fell silent", async () => {
  const service = await Service.start("--port", "0", "--input", "-");
  try {
    const page = await open(`${service.url}?max_chance=1`);
    await page.locator("#all-hint", { hasText: "No streams yet" }).waitFor();
    const start = Date.now() - 18 * 60_000;
    const minute = (n) => start + n * 60_000;
    service.push([meta("ada", start, "stream_start", "Evening chat"), meta("bob", start, "stream_start", "Piano")]);
    for (let n = 0; n < 18; n += 1) {
      service.push([viewers("ada", minute(n), 100), ...chat("ada", minute(n), n >= 16 ? 200 : 20)]);
      if (n < 4) service.push(chat("bob", minute(n), 20));
    }
    const open_ = page.locator('[data-testid="found"] li[data-state="open"]', { hasText: "Chat spike" });
    await open_.waitFor();
    await page.locator('[data-testid="all"] li[data-id="bob"] .presence', { hasText: /^silent for 1\d min$/ }).waitFor();
    await page.locator('[data-testid="all"] li[data-id="ada"] .presence', { hasText: "live" }).waitFor();
    await page.locator('[data-testid="totals"]', { hasText: "1 silent, 2 known" }).waitFor();
    await page.locator('[data-testid="all"] li[data-id="ada"] .line[d^="M"]').waitFor();

    await page.locator("#type").selectOption("viewer_drop");
    await page.locator("#found-hint", { hasText: "No open viewer drops right now" }).waitFor();
    assert.match(page.url(), /type=viewer_drop/);
    await page.goBack();
    await open_.waitFor();
    assert.equal(await page.locator("#type").inputValue(), "");

    // By the keyboard alone: to the moment, and it is opened.
    await open_.locator("a").focus();
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="chosen"]', { hasText: "open" }).waitFor();
    await page.locator("#about .presence", { hasText: "live for 1" }).waitFor();
    await page.goto(`${service.url}stream?id=bob`);
    await page.locator("#about .presence", { hasText: /^silent for 1\d min$/ }).waitFor();
    assert.deepEqual(page.errors, []);
  } finally {
    await service.stop();
  }
});

test("the overview is readable in light, in dark, on a phone, and by those who hear it", async () => {
  const service = await Service.start("--port", "0");
  try {
    await everywhere(`${service.url}?when=hour`, "overview", async (page) => {
      await page.locator('[data-testid="found"] li').nth(3).waitFor();
      await page.locator('[data-testid="all"] li').nth(23).waitFor();
    });
    const old = await open(`${service.url}#lofi_kitchen`);
    await old.locator("h1", { hasText: "lofi_kitchen" }).waitFor();
    assert.deepEqual(old.errors, [], "an address of old leads to the stream");
  } finally {
    assert.equal(await service.stop(), 0);
  }
});
