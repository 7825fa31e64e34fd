// The page of a stream in a real browser: what a viewer sees from the first second to a correction and a restart.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { accessible, everywhere, open, start, stop } from "./browser.mjs";
import { Service, chat, viewers } from "./service.mjs";

const images = process.env.SCREENSHOTS;
const LIVE = '#connection[data-state="live"]';

before(start);
after(stop);

test("all parts show live data", async () => {
  const service = await Service.start("--port", "0");
  try {
    const page = await open(`${service.url}stream`);
    await page.locator(LIVE).waitFor();
    await page.locator('[data-testid="viewers"]', { hasText: /\d/ }).waitFor();
    await page.locator('[data-testid="sentiment"]', { hasText: /\d/ }).waitFor();
    await page.locator('[data-testid="revenue"]', { hasText: /\d/ }).waitFor();
    await page.locator('[data-testid="emotes"] li').first().waitFor();
    await page.locator('[data-testid="flow"] .line[d^="M"]').waitFor();
    await page.locator('[data-testid="flow"] .band[d^="M"]').waitFor({ state: "attached" });
    await page.locator("#list li").nth(23).waitFor();
    await page.locator('[data-testid="moments"] li').first().waitFor();
    await everywhere(page.url(), "dashboard", async (other) => {
      await other.locator(LIVE).waitFor();
      await other.locator('[data-testid="emotes"] li').first().waitFor();
      await other.locator('[data-testid="flow"] .line[d^="M"]').waitFor();
    });
    const docs = await open(new URL("/docs", service.url).href);
    await docs.locator("#problems").waitFor();
    await accessible(docs, "docs");
    assert.deepEqual(docs.errors, []);
    assert.deepEqual(page.errors, []);

    // By the keyboard alone: to another stream, and along the line of its chat.
    await page.keyboard.press("/");
    await page.keyboard.type("lofi");
    await page.locator("#list li").nth(1).waitFor({ state: "detached" });
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.locator("h1", { hasText: "lofi_kitchen" }).waitFor();
    await page.locator(LIVE).waitFor();
    await page.locator('[data-testid="flow"]').focus();
    await page.keyboard.press("ArrowLeft");
    await page.locator(".readout", { hasText: "messages a second by" }).waitFor();
    assert.deepEqual(page.errors, []);
  } finally {
    assert.equal(await service.stop(), 0);
  }
});

test("a moment appears, and a correction withdraws it", async () => {
  const service = await Service.start("--port", "0", "--input", "-");
  try {
    const page = await open(`${service.url}stream?id=ada&max_chance=1`);
    await page.locator("#notice", { hasText: "No events from this stream yet" }).waitFor();
    const start = Date.now() - 15 * 60_000;
    const minute = (n) => start + n * 60_000;
    for (let n = 0; n < 12; n += 1) service.push([viewers("ada", minute(n), 100), ...chat("ada", minute(n), 20)]);
    service.push(chat("ada", minute(12), 150));
    for (let n = 13; n < 15; n += 1) service.push(chat("ada", minute(n), 20));
    const spike = page.locator('[data-testid="moments"] li', { hasText: "Chat spike" });
    await spike.first().waitFor();
    const id = await spike.first().getAttribute("data-id");
    assert.notEqual(await spike.first().getAttribute("data-state"), "withdrawn");
    await page.locator('[data-testid="flow"] .span[data-tone="spike"]').first().waitFor();

    // What was unusual is not, once it is known that there was more of it just before.
    service.push(chat("ada", minute(11), 250));
    const withdrawn = page.locator(`[data-testid="moments"] li[data-id="${id}"][data-state="withdrawn"]`);
    await withdrawn.waitFor();
    assert.match(await withdrawn.textContent(), /Withdrawn: with the late events counted, it is no longer unusual/);
    await page.locator('[data-testid="flow"] .span[data-state="withdrawn"]').waitFor();
    await page.locator(".readout", { hasText: /windows? corrected by late events/ }).waitFor();
    await page.locator("#announcer", { hasText: /Chat spike/ }).waitFor({ state: "attached" });
    await accessible(page, "a withdrawn moment");
    if (images) await page.screenshot({ path: `${images}/correction.png`, fullPage: true });
    // The colours of moments that may be open at another time.
    const moment = page.locator(`[data-testid="moments"] li[data-id="${id}"]`);
    for (const tone of ["spike", "surge", "drop", "donation", "mood", "other"]) {
      await moment.evaluate((item, tone) => {
        item.dataset.tone = tone;
        item.querySelector(".chip").dataset.state = "open";
      }, tone);
      await accessible(page, `an open moment of the tone ${tone}`);
    }
    await moment.evaluate((item) => Array.from({ length: 12 }, () => item.after(item.cloneNode(true))));
    await accessible(page, "more moments than have room");
    assert.deepEqual(page.errors, []);
  } finally {
    assert.equal(await service.stop(), 0);
  }
});

test("the page recovers by itself when the service is stopped and started again", async () => {
  let service = await Service.start("--port", "0", "--history", "20");
  const { port, url } = service;
  try {
    const page = await open(`${url}stream`);
    await page.locator(LIVE).waitFor();
    await page.locator('[data-testid="viewers"]', { hasText: /\d/ }).waitFor();
    assert.deepEqual(page.errors, []);
    assert.equal(await service.stop(), 0);
    await page.locator("#notice", { hasText: "The figures shown may be out of date" }).waitFor();
    await page.locator('#connection[data-state="failed"]').waitFor();
    await page.locator("#list-state", { hasText: "cannot be reached" }).waitFor();
    service = await Service.start("--port", port, "--history", "20");
    await page.locator(LIVE).waitFor();
    await page.locator("#notice").waitFor({ state: "hidden" });
    await page.locator("#list-state", { hasText: /^$/ }).waitFor({ state: "attached" });
    page.errors.length = 0;
    // The list asks on its own, and the stream's figures go on.
    const asked = () => page.waitForResponse((response) => response.url().includes("/streams?") && response.ok());
    await asked();
    await asked();
    assert.deepEqual(page.errors, [], "once it is back there are no errors");
  } finally {
    await service.stop();
  }
});

test("a service with a token asks for it", async () => {
  process.env.API_TOKEN = "s3cret";
  const service = await Service.start("--port", "0", "--history", "5");
  delete process.env.API_TOKEN;
  try {
    const page = await open(`${service.url}stream`);
    await page.locator("#login[open]").waitFor();
    await accessible(page, "login");
    await page.locator("#token").fill("s3cret");
    await page.keyboard.press("Enter");
    await page.locator(LIVE).waitFor();
  } finally {
    assert.equal(await service.stop(), 0);
  }
});
