// A browser for all tests of a file, and what every page is held to.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
let browser;

export async function start() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
}

export const stop = () => browser?.close();

// A page whose errors are kept, and may be forgotten where they were to be expected.
export async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 1180 }, bypassCSP: true, locale: "en-GB", ...options });
  const page = await context.newPage();
  // So long that it says something is missing, not that the machine is busy.
  page.setDefaultTimeout(120_000);
  page.errors = [];
  page.on("console", (message) => message.type() === "error" && page.errors.push(message.text()));
  page.on("pageerror", (error) => page.errors.push(error.message));
  await page.goto(url);
  return page;
}

export async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), [], what);
}

// In light, dark and on a phone, once `ready(page)`; with screenshots if they are asked for.
export async function everywhere(url, name, ready) {
  for (const [look, options] of [
    ["light", {}], ["dark", { colorScheme: "dark" }], ["phone", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }],
  ]) {
    // What is half faded in has half its contrast.
    const page = await open(url, { reducedMotion: "reduce", ...options });
    await ready(page);
    await accessible(page, `${name}, ${look}`);
    const [width, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= room, `${name} scrolls sideways, ${look}: ${width} > ${room}`);
    const images = process.env.SCREENSHOTS;
    await page.evaluate(() => scrollTo(0, 0));
    // Long lists say no more than their beginning.
    const fullPage = await page.evaluate(() => document.documentElement.scrollHeight < 2100);
    if (images) await page.screenshot({ path: `${images}/${name}-${look}.png`, fullPage });
    assert.deepEqual(page.errors, [], `${name}, ${look}`);
    await page.context().close();
  }
}
