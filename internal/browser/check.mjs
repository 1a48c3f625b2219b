// Looks at pages in one browser: a picture, its difference to an earlier one, and
// axe-core's findings. Reads the job from the file named by its argument; writes
// one JSON document to stdout when all is done. Lines of stderr that begin with
// "say: " are progress. It ends when its stdin does: then nobody wants the answer.
import { readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import axe from 'axe-core';
import pixelmatch from 'pixelmatch';
import { chromium } from 'playwright-core';
import { PNG } from 'pngjs';

process.stdin.on('end', () => process.exit(1)).on('error', () => process.exit(1)).resume();

const job = JSON.parse(await readFile(process.argv[2], 'utf8'));
const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const rules = new Map(axe.getRules().map((r) => [r.ruleId, r]));
const impacts = ['critical', 'serious', 'moderate', 'minor'];

const maxSide = 10000; // px; a page without an end has to end somewhere
const maxPixels = 64e6; // of a picture that is read; a small file may hold a huge one
const settleMS = 3000; // for pages that never stop loading something

// limited rejects after ms, whether or not the promise ever settles: a page that
// is busy answers nobody.
function limited(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(what)), Math.max(0, ms));
  });
  promise.catch(() => {});
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// look opens one page in a context of its own and never throws.
async function look(browser, view) {
  const result = { page: view.page, viewport: view.viewport.name, violations: [] };
  const began = Date.now();
  let context;
  try {
    context = await browser.newContext({
      viewport: { width: view.viewport.width, height: view.viewport.height },
      isMobile: view.viewport.mobile,
      hasTouch: view.viewport.mobile,
      deviceScaleFactor: 1,
      reducedMotion: 'reduce',
      colorScheme: 'light',
      locale: 'en-US',
      timezoneId: 'UTC',
      serviceWorkers: 'block',
      acceptDownloads: false,
    });
    const seconds = job.timeoutMS / 1000;
    await limited(inspect(context, view, result, began + job.timeoutMS), job.timeoutMS, `it was not done within ${seconds} s`);
  } catch (e) {
    result.err = readable(e);
  }
  if (context) await limited(context.close(), 5000, '').catch(() => {});
  console.error(`say: ${view.page} (${view.viewport.name}): ${((Date.now() - began) / 1000).toFixed(1)} s${result.err ? `, ${result.err}` : ''}`);
  return result;
}

async function inspect(context, view, result, deadline) {
  if (view.headers) await identify(context, new URL(view.url).origin, view.headers);
  const page = await context.newPage();
  page.setDefaultTimeout(job.timeoutMS);
  await page.clock.install({ time: job.timeMS });
  const response = await page.goto(view.url, { waitUntil: 'load', timeout: job.timeoutMS });
  if (!response) throw new Error('it gave no response');
  if (!response.ok()) throw new Error(`it answers ${response.status()} ${response.statusText()}`.trim());
  await page.waitForLoadState('networkidle', { timeout: Math.max(1, Math.min(settleMS, deadline - Date.now())) }).catch(() => {});
  const cdp = await context.newCDPSession(page);
  if (job.accessibility) result.violations = await violations(cdp, view.file);
  if (job.visual) await compare(await picture(page, cdp), view, result);
}

// identify sends headers to one origin. Redirects go back to the browser, which asks here
// again: Playwright itself would take the headers along to another origin.
async function identify(context, origin, headers) {
  await context.route((url) => url.origin === origin, async (route) => {
    try {
      const response = await route.fetch({ headers: { ...route.request().headers(), ...headers }, maxRedirects: 0 });
      await route.fulfill({ response });
    } catch {
      await route.abort().catch(() => {});
    }
  });
}

// violations runs axe in a world of its own: the page's scripts can't change what
// it says, and the page's clock and patched prototypes can't disturb it.
async function violations(cdp, file) {
  const { frameTree } = await cdp.send('Page.getFrameTree');
  const frames = (tree) => [tree.frame.id, ...(tree.childFrames ?? []).flatMap(frames)];
  const [main, ...children] = frames(frameTree);
  const world = async (frameId) => {
    const { executionContextId } = await cdp.send('Page.createIsolatedWorld', { frameId, worldName: 'axe' });
    await evaluate(cdp, executionContextId, `${axeSource};true`);
    return executionContextId;
  };
  for (const id of children) await world(id).catch(() => {}); // a frame may be gone already
  const options = { runOnly: job.axeTags, resultTypes: ['violations'] };
  const found = await evaluate(cdp, await world(main), `axe.run(document, ${JSON.stringify(options)}).then((r) => r.violations)`);
  await writeFile(join(job.out, `${file}.axe.json`), JSON.stringify(found, null, 2) + '\n');
  return found.map(violation).sort((a, b) => impacts.indexOf(a.impact) - impacts.indexOf(b.impact) || (a.id < b.id ? -1 : 1));
}

async function evaluate(cdp, contextId, expression) {
  const { result, exceptionDetails: e } = await cdp.send('Runtime.evaluate', { contextId, expression, awaitPromise: true, returnByValue: true });
  if (e) throw new Error(`axe: ${e.exception?.description ?? e.text}`);
  return result.value;
}

// violation takes texts and addresses from our own axe, not from the page.
function violation(v) {
  const rule = rules.get(v.id);
  if (!rule || !impacts.includes(v.impact)) throw new Error(`axe: unknown finding ${JSON.stringify(v.id)}`);
  return { id: v.id, impact: v.impact, help: rule.help, url: rule.helpUrl, nodes: v.nodes.length };
}

// picture stops the page's clock at the same moment in each run and takes the
// whole page.
async function picture(page, cdp) {
  await page.clock.pauseAt(job.timeMS + job.timeoutMS);
  const { width, height } = (await cdp.send('Page.getLayoutMetrics')).cssContentSize;
  const clip = Math.max(width, height) > maxSide ? { x: 0, y: 0, width: Math.min(width, maxSide), height: Math.min(height, maxSide) } : undefined;
  return page.screenshot({ fullPage: true, clip, animations: 'disabled', caret: 'hide', scale: 'css', type: 'png' });
}

// compare writes the picture and, if there is an earlier one that differs by more
// than is allowed, a picture of the difference.
async function compare(raw, view, result) {
  const earlier = job.baseline ? await readIfThere(join(job.baseline, `${view.file}.png`)) : undefined;
  await writeFile(join(job.out, `${view.file}.png`), raw);
  result.picture = `${view.file}.png`;
  if (!earlier) return;
  result.baseline = true;
  const [now, before] = [decode(raw, 'the picture'), decode(earlier, 'the earlier picture')];
  const width = Math.max(now.width, before.width);
  const height = Math.max(now.height, before.height);
  const diff = new PNG({ width, height });
  // What only one of them has is black in one and white in the other.
  const pixels = pixelmatch(padded(before, width, height, 0), padded(now, width, height, 255), diff.data, width, height, { threshold: 0.1 });
  result.diff_share = pixels / (width * height);
  const sameSize = now.width === before.width && now.height === before.height;
  if (!sameSize) result.note = `the picture is ${now.width}x${now.height}, the earlier one ${before.width}x${before.height}`;
  result.changed = !sameSize || result.diff_share > job.maxDiff;
  if (!result.changed) return;
  await writeFile(join(job.out, `${view.file}.diff.png`), PNG.sync.write(diff));
  result.diff = `${view.file}.diff.png`;
}

async function readIfThere(path) {
  try {
    return await readFile(path);
  } catch (e) {
    if (e.code === 'ENOENT') return undefined;
    throw e;
  }
}

// decode reads a picture, after a look at the size that its header claims.
function decode(raw, what) {
  const isPNG = raw.length > 24 && raw.toString('latin1', 1, 4) === 'PNG';
  if (!isPNG || raw.readUInt32BE(16) * raw.readUInt32BE(20) > maxPixels) throw new Error(`${what} is no PNG or too large`);
  try {
    return PNG.sync.read(raw);
  } catch (e) {
    throw new Error(`${what} cannot be read: ${e.message}`);
  }
}

function padded(png, width, height, shade) {
  if (png.width === width && png.height === height) return png.data;
  const wide = new PNG({ width, height });
  for (let i = 0; i < wide.data.length; i++) wide.data[i] = i % 4 === 3 ? 255 : shade;
  PNG.bitblt(png, wide, 0, 0, png.width, png.height, 0, 0);
  return wide.data;
}

// readable is the first line of an error without Playwright's own words.
function readable(e) {
  const line = String(e?.message ?? e).split('\n')[0];
  if (e?.name === 'TimeoutError') return `it did not load within ${job.timeoutMS / 1000} s`;
  return line.match(/net::(ERR_\w+)/)?.[1] ?? line.replace(/^\w+\.\w+: /, '').slice(0, 500);
}

// views are looked at by so many workers; the results are in the views' order.
async function all(browser, views, workers) {
  const results = new Array(views.length);
  const queue = views.entries();
  await Promise.all(Array.from({ length: workers }, async () => {
    for (const [i, view] of queue) results[i] = await look(browser, view);
  }));
  return results;
}

// What an earlier run left under these names says nothing about this one.
const ends = ['.diff.png', '.axe.json'];
if (!job.baseline || (await realpath(job.baseline).catch(() => '')) !== (await realpath(job.out))) ends.push('.png');
for (const { file } of job.views) {
  for (const end of ends) await rm(join(job.out, file + end), { force: true });
}

const browser = await chromium.launch({ executablePath: job.executable, args: job.flags, headless: true, timeout: 30000, handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false });
const results = await all(browser, job.views, job.workers);
const document = JSON.stringify({ browser: browser.version(), results });
await limited(browser.close(), 5000, '').catch(() => {});
process.stdout.write(document, () => process.exit(0));
