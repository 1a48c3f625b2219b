// Uses a report as people do, and prints what happened: node browse.mjs MODULES CHROMIUM URL HOSTILE-URL PICTURES
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [modules, executablePath, url, hostile, pictures] = process.argv.slice(2);
const require = createRequire(`${modules}/x.js`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking'] });
const out = { requests: [], errors: [], axe: {}, shown: {}, wide: {}, overlap: [] };

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
const look = async (page, name) => {
  out.wide[name] = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
};
const check = async (page, name) => {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  out.axe[name] = found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')}`);
};

let page = await open(url, {});
out.title = await page.title();
out.overlap = await page.$$eval('svg', (all) => all.flatMap((svg) => {
  const boxes = [...svg.querySelectorAll('text')].map((t) => [t.textContent, t.getBoundingClientRect()]);
  return boxes.flatMap(([a, x], i) => boxes.slice(i + 1).filter(([, y]) => x.left < y.right - 1 && y.left < x.right - 1 && x.top < y.bottom - 5 && y.top < x.bottom - 5).map(([b]) => `${a} | ${b}`));
}));
const shown = () => page.locator('article:visible').count();
await look(page, 'light');
out.shown.all = await shown();
await page.locator('#show-loud').check();
out.shown.loud = await shown();
await page.locator('#show-refused').check();
out.shown.refused = await shown();
await page.locator('#show-all').check();
await page.locator('article summary').first().click();
await page.locator('article details[open]').first().scrollIntoViewIfNeeded();
await page.emulateMedia({ media: 'print' });
await look(page, 'print');
page = await open(url, { colorScheme: 'dark' });
await check(page, 'dark');
await look(page, 'dark');
page = await open(url, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
await look(page, 'phone');
page = await open(hostile, {});
out.hostileTitle = await page.title();
await look(page, 'hostile');
await browser.close();
process.stdout.write(JSON.stringify(out));
