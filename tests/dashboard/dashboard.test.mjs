// The dashboard in a real browser: what a viewer sees from the first second to a correction and a restart.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { Service, chat, viewers } from "./service.mjs";

const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const images = process.env.SCREENSHOTS;
const LIVE = '#connection[data-state="live"]';
let browser;

before(async () => {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
});
after(() => browser?.close());

// A page whose errors are kept, and may be forgotten where they were to be expected.
async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 1180 }, bypassCSP: true, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.errors = [];
  page.on("console", (message) => message.type() === "error" && page.errors.push(message.text()));
  page.on("pageerror", (error) => page.errors.push(error.message));
  await page.goto(url);
  return page;
}

async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), [], what);
}

test("all parts show live data within 15 seconds of the start", async () => {
  const began = performance.now();
  const service = await Service.start("--port", "0");
  try {
    const page = await open(service.url);
    page.setDefaultTimeout(15_000 - (performance.now() - began));
    await page.locator(LIVE).waitFor();
    await page.locator('[data-testid="viewers"]', { hasText: /\d/ }).waitFor();
    await page.locator('[data-testid="sentiment"]', { hasText: /\d/ }).waitFor();
    await page.locator('[data-testid="revenue"]', { hasText: /\d/ }).waitFor();
    await page.locator('[data-testid="emotes"] li').first().waitFor();
    await page.locator('[data-testid="flow"] .line[d^="M"]').waitFor();
    await page.locator('[data-testid="flow"] .band[d^="M"]').waitFor({ state: "attached" });
    await page.locator("#list li").nth(23).waitFor();
    await page.setDefaultTimeout(30_000);
    await page.locator('[data-testid="moments"] li').first().waitFor();
    await page.waitForTimeout(1500);

    for (const [name, options] of [
      ["dashboard-light", {}], ["dashboard-dark", { colorScheme: "dark" }],
      ["dashboard-phone", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }],
    ]) {
      // What is half faded in has half its contrast.
      const other = await open(page.url(), { reducedMotion: "reduce", ...options });
      await other.locator(LIVE).waitFor();
      await other.locator('[data-testid="emotes"] li').first().waitFor();
      await other.waitForTimeout(1500);
      await accessible(other, name);
      const width = await other.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(width[0] <= width[1], `${name} scrolls sideways: ${width}`);
      if (images) await other.screenshot({ path: `${images}/${name}.png`, fullPage: name.endsWith("phone") });
      assert.deepEqual(other.errors, []);
      await other.context().close();
    }
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
    const page = await open(`${service.url}#ada`);
    await page.locator("#notice", { hasText: "Nothing is known of this stream yet" }).waitFor();
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
    assert.match(await withdrawn.textContent(), /Withdrawn: with the events that came late it is nothing unusual/);
    await page.locator('[data-testid="flow"] .span[data-state="withdrawn"]').waitFor();
    await page.locator(".readout", { hasText: /windows? corrected by late events/ }).waitFor();
    await page.locator("#announcer", { hasText: /Chat spike/ }).waitFor({ state: "attached" });
    await accessible(page, "a withdrawn moment");
    if (images) await page.screenshot({ path: `${images}/correction.png` });
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
    const page = await open(url);
    await page.locator(LIVE).waitFor();
    await page.locator('[data-testid="viewers"]', { hasText: /\d/ }).waitFor();
    assert.deepEqual(page.errors, []);
    assert.equal(await service.stop(), 0);
    await page.locator("#notice", { hasText: "What you see may be out of date" }).waitFor();
    await page.locator('#connection[data-state="failed"]').waitFor();
    await page.locator("#list-state", { hasText: "cannot be reached" }).waitFor();
    service = await Service.start("--port", port, "--history", "20");
    await page.locator(LIVE).waitFor();
    await page.locator("#notice").waitFor({ state: "hidden" });
    await page.locator("#list-state", { hasText: /^$/ }).waitFor({ state: "attached" });
    page.errors.length = 0;
    await page.waitForTimeout(6000);
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
    const page = await open(service.url);
    await page.locator("#login[open]").waitFor();
    await accessible(page, "login");
    await page.locator("#token").fill("s3cret");
    await page.keyboard.press("Enter");
    await page.locator(LIVE).waitFor();
  } finally {
    assert.equal(await service.stop(), 0);
  }
});
