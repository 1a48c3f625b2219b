// Uses a report as people do, and prints what happened: node browse.mjs MODULES CHROMIUM URL HOSTILE-URL
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [modules, executablePath, url, hostile] = process.argv.slice(2);
const require = createRequire(`${modules}/x.js`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
const out = { requests: [], errors: [], steps: {}, axe: {} };

async function open(address, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.on('request', (r) => { if (r.url() !== address && !r.url().startsWith('data:')) out.requests.push(r.url()); });
  page.on('console', (m) => out.errors.push(`${m.type()}: ${m.text()}`));
  page.on('pageerror', (e) => out.errors.push(String(e)));
  page.on('dialog', (d) => { out.errors.push(`dialog ${d.message()}`); d.dismiss(); });
  await page.goto(address, { waitUntil: 'networkidle' });
  return page;
}
const ids = (page) => page.$$eval('#findings tbody tr:not([hidden]) td:last-child', (all) => all.map((td) => td.textContent));
const check = async (page, name) => {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  out.axe[name] = found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')}`);
};

let page = await open(url);
out.title = await page.title();
out.steps.all = await ids(page);
for (const [name, value] of [['severity', 'high'], ['class', 'workflow'], ['tool', 'trufflehog'], ['state', 'fixed'], ['waived', 'yes']]) {
  await page.getByLabel(name[0].toUpperCase() + name.slice(1), { exact: true }).selectOption(value);
  out.steps[name] = await ids(page);
  out.steps[`${name} status`] = await page.locator('#shown').textContent();
  await page.getByRole('button', { name: 'Show all' }).click();
  await page.waitForFunction(() => !document.querySelector('#findings tbody tr[hidden]'));
}
await page.getByLabel('Text').fill('LODASH injection');
out.steps.text = await ids(page);
await page.getByLabel('Text').fill('nothing like it');
out.steps.nothing = await ids(page);
await page.getByLabel('Text').fill('');
const severity = page.getByRole('button', { name: 'Severity' });
await severity.focus();
await page.keyboard.press('Enter');
out.steps.ascending = await ids(page);
out.sorted = await page.locator('#findings th').first().getAttribute('aria-sort');
await page.keyboard.press('Enter');
out.steps.descending = await ids(page);
await page.getByRole('button', { name: 'Finding', exact: true }).click();
out.steps.byTitle = await ids(page);
await page.locator('#findings details summary').first().click();
out.opened = await page.locator('#findings details[open] p').first().isVisible();
await check(page, 'light');
page = await open(url, { colorScheme: 'dark' });
out.dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
await check(page, 'dark');
page = await open(url, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
await check(page, 'phone');
out.wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
page = await open(url, { javaScriptEnabled: false });
out.withoutScript = { rows: await page.locator('#findings tbody tr').count(), form: await page.locator('#filters').isVisible(), shown: await page.locator('#findings tbody tr').first().isVisible() };
page = await open(hostile);
out.hostileTitle = await page.title();
out.hostileRows = (await ids(page)).length;
await page.getByLabel('Severity', { exact: true }).selectOption('critical');
out.hostileFiltered = (await ids(page)).length;
await browser.close();
process.stdout.write(JSON.stringify(out));
