// The past: a range that is chosen, the broadcasts in it, two of them compared, and all of it taken along.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { accessible, everywhere, open, start, stop } from "./browser.mjs";
import { Service, chat, gift, meta, viewers } from "./service.mjs";

const HOUR = 3_600_000;

before(start);
after(stop);

// Of an hour before now: two broadcasts of 14 and 20 minutes, the second with a spike, that ended 25 minutes ago.
function evenings(service) {
  const start = Math.floor((Date.now() - 75 * 60_000) / 60_000) * 60_000;
  const minute = (n) => start + n * 60_000;
  const play = (from, to, rate, audience) => {
    for (let n = from; n < to; n += 1) service.push([viewers("ada", minute(n), audience), ...chat("ada", minute(n), rate(n))]);
  };
  service.push([meta("ada", start, "stream_start", "First")]);
  play(0, 14, () => 20, 100);
  service.push([gift("ada", minute(14) - 1, 5, "EUR"), meta("ada", minute(30), "stream_start", "Second")]);
  play(30, 50, (n) => (n === 44 ? 200 : 30), 150);
  service.push([meta("ada", minute(50), "stream_end", "Second"), ...chat("clock", minute(74), 1)]);
  return { start, minute };
}

async function found(service) {
  for (;;) {
    const answer = await fetch(`${service.url}streams/ada/broadcasts?max_chance=1`);
    const { broadcasts = [] } = answer.ok ? await answer.json() : {};
    if (broadcasts.length === 2 && broadcasts[0].strongest && !broadcasts[0].is_open) return broadcasts;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

test("broadcasts are summed up, opened, compared, and saved", async () => {
  const service = await Service.start("--port", "0", "--input", "-");
  try {
    const { minute } = evenings(service);
    const [second, first] = await found(service);
    const page = await open(`${service.url}stream?id=ada&max_chance=1`, { timezoneId: "UTC" });
    const rows = page.locator('[data-testid="broadcasts"] tbody tr');
    await rows.nth(1).waitFor();
    assert.match(await rows.nth(1).textContent(), /14 min.*peak 100, mean 100.*280.*€5\.00.*none.*Kappa/);
    assert.match(await rows.nth(0).textContent(), /20 min.*peak 150, mean 150.*770.*see the strongest/);

    // Into the first: the charts show it, and that it is the past.
    await rows.nth(1).getByRole("link").first().click();
    await page.locator('[data-testid="range"] strong').waitFor();
    const url = new URL(page.url());
    assert.deepEqual([url.searchParams.get("from"), url.searchParams.get("to")], [first.started_at, first.ended_at]);
    await page.locator('[data-testid="flow"] .line[d^="M"]').waitFor();
    await page.locator(".revenue [data-testid=revenue]", { hasText: "€5.00" }).waitFor();

    // To the strongest moment of the second: its place is counted from when that began.
    await rows.nth(0).getByRole("link", { name: "see the strongest" }).click();
    const into = Date.parse(second.strongest.started_at) - minute(30);
    await page.locator('[data-testid="chosen"] .into', { hasText: `${new Date(into).toISOString().slice(12, 19)} into the stream` }).waitFor();

    // Both beside each other, also for who is sent the address.
    await rows.nth(0).getByRole("checkbox").check();
    await rows.nth(1).getByRole("checkbox").check();
    const compare = page.locator('[data-testid="compare"]');
    await compare.locator("tr", { hasText: "Peak viewers" }).filter({ hasText: /100150\+50 %/ }).waitFor();
    assert.equal(await compare.locator(".line[d^=M]").count(), 4, "chat and viewers, of both");
    await accessible(page, "a comparison");
    if (process.env.SCREENSHOTS) {
      // Its heading stays in sight, and would be in the middle of the picture.
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: `${process.env.SCREENSHOTS}/compare.png`, fullPage: true });
    }
    const other = await open(page.url(), { timezoneId: "UTC" });
    await other.locator('[data-testid="compare"] tr', { hasText: "Peak viewers" }).waitFor();
    assert.deepEqual(other.errors, []);

    const [download] = await Promise.all([page.waitForEvent("download"), page.locator(".broadcasts").getByRole("button", { name: "Save as CSV" }).click()]);
    const csv = (await readFile(await download.path(), "utf8")).trimEnd().split("\r\n").map((row) => row.split(","));
    assert.deepEqual(csv.map((row) => row[csv[0].indexOf("messages")]), ["messages", "770", "280"]);
    assert.deepEqual(csv.map((row) => row[csv[0].indexOf("revenue_EUR")]), ["revenue_EUR", "0", "5.00"]);
    assert.deepEqual(page.errors, []);
  } finally {
    await service.stop();
  }
});

test("a range of the past is chosen by its times, and its windows are saved", async () => {
  const service = await Service.start("--port", "0", "--input", "-");
  try {
    const { start, minute } = evenings(service);
    await found(service);
    const page = await open(`${service.url}stream?id=ada`, { timezoneId: "UTC" });
    await page.locator(".picker summary").focus();
    await page.keyboard.press("Enter");
    const field = (ms) => new Date(ms).toISOString().slice(0, 16);
    await page.getByLabel("From", { exact: true }).fill(field(minute(5)));
    await page.getByLabel("To", { exact: true }).fill(field(minute(2)));
    await page.getByRole("button", { name: "Show", exact: true }).click();
    await page.locator(".picker .wrong", { hasText: "It has to begin before it ends." }).waitFor();
    await page.getByLabel("To", { exact: true }).fill(field(minute(10)));
    await page.getByRole("button", { name: "Show", exact: true }).click();
    await page.locator('[data-testid="range"] strong').waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Windows as CSV" }).click()]);
    const [head, ...rows] = (await readFile(await download.path(), "utf8")).trimEnd().split("\r\n").map((row) => row.split(","));
    const ends = rows.map((row) => Date.parse(row[head.indexOf("window_end")]));
    assert.equal(rows.length, 30, "one for each ten seconds of five minutes");
    assert.deepEqual([Math.min(...ends), Math.max(...ends)], [minute(5) + 10_000, minute(10)]);
    // The same as Parquet, by which a file begins and ends.
    for (const name of ["Windows", "Moments"]) {
      const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: `${name} as Parquet` }).click()]);
      assert.equal(file.suggestedFilename(), `ada-${name.toLowerCase()}.parquet`);
      const bytes = await readFile(await file.path());
      assert.deepEqual([bytes.subarray(0, 4).toString(), bytes.subarray(-4).toString()], ["PAR1", "PAR1"]);
    }

    await page.getByRole("button", { name: "Back to now" }).click();
    await page.locator('[data-testid="range"] strong').waitFor({ state: "detached" });
    await page.goBack();
    await page.locator('[data-testid="range"] strong').waitFor();

    // Where nothing was, it is said.
    const empty = new URLSearchParams({ id: "ada", from: new Date(start - 5 * HOUR).toISOString(), to: new Date(start - 4 * HOUR).toISOString() });
    await page.goto(`${service.url}stream?${empty}`);
    await page.locator("#notice", { hasText: "There are no events in this time." }).waitFor();
    assert.deepEqual(page.errors, []);
    await everywhere(`${service.url}stream?id=ada&from=${new Date(minute(30)).toISOString()}&to=${new Date(minute(50)).toISOString()}`, "past", async (other) => {
      await other.locator('[data-testid="range"] strong').waitFor();
      await other.locator('[data-testid="broadcasts"] tbody tr').nth(1).waitFor();
    });
  } finally {
    await service.stop();
  }
});
