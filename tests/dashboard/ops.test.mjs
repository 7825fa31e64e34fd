// The operations page: what an operator sees at night, when all is well and when it is not.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { accessible, everywhere, open, start, stop } from "./browser.mjs";
import { Service, chat } from "./service.mjs";

before(start);
after(stop);

test("the parts are shown as they are, in light, in dark, and on a phone", async () => {
  const service = await Service.start("--port", "0", "--history", "20");
  try {
    await everywhere(`${service.url}ops`, "ops", async (page) => {
      await page.locator('[data-testid="verdict"]', { hasText: "No problems found." }).waitFor();
      await page.locator("#partitions tbody tr", { hasText: "generator/1" }).waitFor();
      await page.locator("#sinks tbody tr", { hasText: "sqlite" }).waitFor();
      await page.locator("#operators tbody tr", { hasText: "Ingest" }).waitFor();
      await page.locator("#checkpoints", { hasText: "This pipeline writes no checkpoints" }).waitFor();
      await page.locator('[data-testid="letters"] li').nth(3).waitFor();
    });
    const page = await open(service.url);
    await page.getByRole("link", { name: "Operations" }).click();
    await page.locator("h1", { hasText: "Operations" }).waitFor();
    assert.equal((await (await fetch(`${service.url}ops`)).json()).pipeline, "here", "programs get JSON at the same address");
    assert.deepEqual(page.errors, []);
  } finally {
    assert.equal(await service.stop(), 0);
  }
});

test("what was not counted is found by its reason and its text, page by page", async () => {
  const service = await Service.start("--port", "0", "--input", "-");
  try {
    service.push(chat("ada", Date.now() - 120_000, 20));
    // Who looks before there are any sees them come: they are asked for again and again, as the rest is.
    const page = await open(`${service.url}ops`);
    const letters = page.locator('[data-testid="letters"] li');
    await page.locator("#letters-hint", { hasText: "None: everything that was read was counted." }).waitFor();
    service.write(Array.from({ length: 25 }, (_, n) => `no event ${n}\n`).join(""));
    service.write('{"stream_id": "ada", "timestamp": "yesterday"}\n');
    await letters.nth(19).waitFor();
    await page.getByRole("button", { name: "Show more" }).click();
    await letters.nth(25).waitFor();
    await page.getByRole("button", { name: "Show more" }).waitFor({ state: "hidden" });

    // By the keyboard alone.
    await page.locator("#letters-search").focus();
    await page.keyboard.type("yesterday");
    await page.keyboard.press("Enter");
    await letters.nth(1).waitFor({ state: "detached" });
    await letters.locator("summary").focus();
    await page.keyboard.press("Enter");
    await letters.locator("pre", { hasText: '{"stream_id": "ada", "timestamp": "yesterday"}' }).waitFor();
    await accessible(page, "an open letter");
    assert.match(page.url(), /search=yesterday/);

    await page.locator("#fate").selectOption("duplicate");
    await page.locator("#letters-hint", { hasText: "Nothing matches." }).waitFor();
    await page.goBack();
    await page.goBack();
    await letters.nth(19).waitFor();
    assert.deepEqual(page.errors, []);
  } finally {
    await service.stop();
  }
});

test("the page asks for the token, and says that it cannot reach the service", async () => {
  process.env.API_TOKEN = "s3cret";
  const service = await Service.start("--port", "0", "--history", "5");
  delete process.env.API_TOKEN;
  const page = await open(`${service.url}ops`);
  try {
    await page.locator("#login[open]").waitFor();
    await page.locator("#token").fill("s3cret");
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="verdict"]', { hasText: "No problems found." }).waitFor();
    assert.ok(!(await page.content()).includes("s3cret"));
  } finally {
    assert.equal(await service.stop(), 0);
  }
  await page.locator("#notice", { hasText: "The service cannot be reached. Trying again automatically." }).waitFor();
});
