// Makes one user journey on one device, and writes down what the browser measured. Reads
// the job from the file named by its argument and removes it, since it may have secrets;
// writes one JSON document to job.report. It ends with status 0 whenever there was a
// browser: a step that failed is in the report.
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const job = JSON.parse(await readFile(process.argv[2], 'utf8'));
await rm(process.argv[2]);
// Sockets of the browser have short names only. In the isolation /tmp is the same folder.
const place = async (path) => stat(path).then((s) => `${s.dev} ${s.ino}`, () => path);
if ((await place(process.env.TMPDIR)) === (await place('/tmp'))) process.env.TMPDIR = '/tmp';
const { chromium } = await import(pathToFileURL(join(job.playwright, 'index.mjs')));
const base = new URL(job.url);
const report = { version: 1, browser: '', pages: [], steps: [], duration: 0, heap: [], whole: false, lost: 0, errors: [], screenshots: [] };
const most = { pages: 500, entries: 20000, errors: 20, text: 500 };

const cut = (text, n = most.text) => String(text).slice(0, n);

// limited rejects after ms, whether or not the promise ever settles: a page that is
// busy answers nobody.
function limited(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(what)), Math.max(0, ms));
  });
  promise.catch(() => {});
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// A Visit is one browser context with one page on the device.
class Visit {
  documents = new Map();
  entries = 0;
  world = 0; // the context of our script in the page's current document
  leaving = false; // a navigation has begun, and its document is not there yet
  wrong = null; // what became of a navigation that a step caused

  static async begin(browser, say) {
    const v = new Visit();
    const d = job.device;
    v.context = await browser.newContext({
      baseURL: `${job.url}/`, viewport: { width: d.width, height: d.height }, deviceScaleFactor: d.scale, isMobile: d.mobile, hasTouch: d.mobile,
      locale: 'en-US', timezoneId: 'UTC', serviceWorkers: 'block', acceptDownloads: false,
    });
    v.page = await v.context.newPage();
    v.page.setDefaultTimeout(job.stepMS);
    v.page.setDefaultNavigationTimeout(job.navigationMS);
    v.cdp = await v.context.newCDPSession(v.page);
    await v.measure();
    if (Object.keys(job.headers).length > 0) await v.identify();
    v.listen(say);
    return v;
  }

  async measure() {
    this.cdp.on('Runtime.bindingCalled', ({ payload }) => this.note(JSON.parse(payload)));
    this.cdp.on('Runtime.executionContextCreated', ({ context }) => {
      if (context.name === 'candlefish' && context.auxData?.frameId === this.frame) this.world = context.id;
    });
    await this.uncover();
    await this.cdp.send('Page.enable');
    this.frame = (await this.cdp.send('Page.getFrameTree')).frameTree.frame.id;
    await this.cdp.send('Runtime.enable');
    await this.cdp.send('Runtime.addBinding', { name: 'candlefish', executionContextName: 'candlefish' });
    await this.cdp.send('Page.addScriptToEvaluateOnNewDocument', { source: job.vitals, worldName: 'candlefish' });
    await this.throttle(job.device.cpu);
  }

  // uncover makes the window larger than the page by what the browser has around it. What
  // is painted below the window's edge is in no frame, and an interaction there would
  // last until something above it is painted.
  async uncover() {
    const { windowId } = await this.cdp.send('Browser.getWindowForTarget');
    const { width, height } = job.device;
    await this.cdp.send('Browser.setWindowBounds', { windowId, bounds: { width: width + 200, height: height + 200 } });
  }

  throttle(rate) {
    return this.cdp.send('Emulation.setCPUThrottlingRate', { rate });
  }

  // note takes an entry that the script in the page has sent.
  note({ id, url, kind, values }) {
    if (!this.documents.has(id)) {
      if (this.documents.size === most.pages) throw new Error(`it loaded more than ${most.pages} documents`);
      this.documents.set(id, { url: cut(url), shifts: [], tasks: [], events: [], interactions: 0 });
    }
    const d = this.documents.get(id);
    if (['ttfb', 'fcp', 'lcp', 'interactions'].includes(kind)) d[kind] = values[0];
    if (kind in { shift: 1, task: 1, event: 1 } && ++this.entries <= most.entries) d[`${kind}s`].push(values);
  }

  // identify sends the headers to their own origin. Each hop of a redirect is asked for
  // anew, and what was changed for one is not kept for the next.
  async identify() {
    const own = Object.entries(job.headers).map(([name, value]) => ({ name, value }));
    const names = own.map((h) => h.name.toLowerCase());
    this.cdp.on('Fetch.requestPaused', ({ requestId, request }) => {
      const others = Object.entries(request.headers).map(([name, value]) => ({ name, value })).filter((h) => !names.includes(h.name.toLowerCase()));
      const headers = new URL(request.url).origin === base.origin ? { headers: [...others, ...own] } : {};
      this.cdp.send('Fetch.continueRequest', { requestId, ...headers }).catch(() => {});
    });
    await this.cdp.send('Fetch.enable', { patterns: [{ urlPattern: `${base.origin}/*` }] });
  }

  listen(say) {
    const main = (request) => request.isNavigationRequest() && request.frame() === this.page.mainFrame();
    const where = () => cut(this.page.url());
    this.page.on('request', (r) => main(r) && (this.leaving = true));
    this.page.on('framenavigated', (f) => f === this.page.mainFrame() && (this.leaving = false));
    this.page.on('requestfailed', (r) => {
      if (!main(r)) return;
      this.leaving = false;
      const why = r.failure()?.errorText ?? '';
      if (why !== 'net::ERR_ABORTED') this.wrong = new Error(why); // aborted is what another address or a download replaced
    });
    this.page.on('response', (r) => {
      if (main(r.request()) && r.status() >= 400) this.wrong = new Error(`status ${r.status()} of ${r.url()}`);
    });
    this.page.on('pageerror', (e) => say('exception', e?.message ?? e, where()));
    this.page.on('console', (m) => m.type() === 'error' && say('console', m.text(), where()));
    this.page.on('crash', () => (this.wrong = new Error('the page crashed')));
  }

  // settle waits until what a step caused was loaded and painted.
  async settle(loaded) {
    await this.take();
    for (const late = Date.now() + job.navigationMS; this.leaving && Date.now() < late; loaded = true) {
      await new Promise((done) => setTimeout(done, 20));
    }
    await this.page.waitForLoadState('load', { timeout: job.navigationMS });
    if (loaded) await this.page.waitForLoadState('networkidle', { timeout: job.settleMS }).catch(() => {});
    if (loaded) await this.take();
    if (this.wrong) throw this.wrong;
  }

  // take asks the page for the entries that it has not sent yet.
  async take() {
    if (!this.world) return;
    const asked = this.cdp.send('Runtime.evaluate', { contextId: this.world, expression: 'globalThis.candlefishTake?.()', awaitPromise: true });
    await limited(asked, job.stepMS, 'the page is busy').catch(() => {}); // another document may be there by now
  }

  // heap returns the bytes that the page holds: of scripts, of what they refer to in the
  // document, and of buffers.
  async heap() {
    await this.cdp.send('HeapProfiler.enable');
    await this.cdp.send('HeapProfiler.collectGarbage');
    await this.cdp.send('HeapProfiler.collectGarbage');
    const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await this.cdp.send('Runtime.getHeapUsage');
    return usedSize + embedderHeapUsedSize + backingStorageSize;
  }

  close() {
    return limited(this.context.close(), 5000, '').catch(() => {});
  }
}

// steps of a journey file. Each gets the visit and the step's values.
const steps = {
  async goto({ page }, { value }) {
    const response = await page.goto(job.url + value, { waitUntil: 'load' });
    if (response && response.status() >= 400) throw new Error(`status ${response.status()} of ${response.url()}`);
    return true;
  },
  async visit(visit, { value }) {
    const { page } = visit;
    const want = new URL(job.url + value).pathname;
    if (!(await follow(page, want))) return steps.goto(visit, { value });
    await page.waitForURL((u) => u.pathname === want, { waitUntil: 'load' });
    return true;
  },
  click: ({ page }, { value }) => touch(page.locator(value)),
  async fill(visit, { selector, value }) {
    const field = visit.page.locator(selector);
    await touch(field);
    await visit.take();
    await field.fill('');
    // As fast as a fast typist: faster, keys would wait for each other's frames.
    await field.pressSequentially(value, { delay: 80 });
  },
  press: ({ page }, { value }) => page.keyboard.press(value),
  hover: ({ page }, { value }) => page.locator(value).hover(),
  async scroll({ page }, { selector, value }) {
    if (selector) return page.locator(selector).scrollIntoViewIfNeeded();
    const by = value === 'end' ? job.device.height : value === 'top' ? -job.device.height : Number(value);
    for (let n = 0; n < (Number.isNaN(Number(value)) ? 50 : 1); n++) {
      const before = await page.evaluate(() => window.scrollY);
      await page.mouse.wheel(0, by);
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))));
      if ((await page.evaluate(() => window.scrollY)) === before) break;
    }
  },
  'wait-for': (visit, step) => seen(visit, step),
  expect: (visit, step) => seen(visit, step),
  async screenshot({ page }, { value }) {
    if (value === undefined) return;
    await shoot(page, value, `screenshot ${value}`);
  },
};

// follow clicks the first visible link to a path of the site; false if there is none that
// can be clicked.
async function follow(page, want) {
  const links = page.locator('a[href]');
  const i = await links.evaluateAll((all, path) => all.findIndex((a) => {
    const u = new URL(a.href, location.href);
    return u.origin === location.origin && u.pathname === path && !u.hash && a.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  }), want);
  if (i < 0) return false;
  const link = links.nth(i);
  return touch(link, { timeout: 2000 }).then(() => true, () => false);
}

// touch clicks as the device does.
const touch = (what, options) => (job.device.mobile ? what.tap(options) : what.click(options));

async function seen({ page }, { of, value }) {
  if (of === 'text') return page.getByText(value).filter({ visible: true }).first().waitFor();
  if (of === 'visible') return page.locator(value).filter({ visible: true }).first().waitFor();
  if (of === 'hidden') return page.locator(value).first().waitFor({ state: 'hidden' });
  const want = new URL(job.url + value).pathname;
  return page.waitForURL((u) => u.pathname === want, { waitUntil: 'commit' });
}

async function shoot(page, name, what) {
  const file = `${name}.png`;
  const mask = job.steps.filter((s) => s.secret).map((s) => page.locator(s.selector));
  const raw = await page.screenshot({ scale: 'css', timeout: 5000, mask });
  await writeFile(join(job.out, file), raw);
  report.screenshots.push({ what, file });
}

// walk makes the steps from the first one given on, and notes how each went.
async function walk(visit, from, note, pictures) {
  if (job.module) return module(visit, note);
  for (const [i, step] of job.steps.entries()) {
    if (i < from || (step.kind === 'screenshot' && !pictures)) continue;
    note(i, '');
    visit.wrong = null;
    const loaded = await steps[step.kind](visit, step);
    await visit.settle(loaded === true);
  }
}

// module runs the user's own program for a journey.
async function module(visit, note) {
  const { default: journey } = await import(pathToFileURL(job.module));
  if (typeof journey !== 'function') throw new Error('the script has no default export that is a function');
  let n = 0;
  const step = async (name, does) => {
    note(n++, cut(name, 200));
    visit.wrong = null;
    const result = await does();
    await visit.settle(true);
    return result;
  };
  await journey({ page: visit.page, step, url: job.url, device: job.device.name });
  await visit.settle(true);
}

// failure describes a step that failed.
async function failure(visit, at, error, name) {
  const text = String(error?.message ?? error).replace(/\u001b\[[0-9;]*m/g, '');
  const f = { step: at.step, name: at.name, why: cut(text, 2000), timeout: error?.name === 'TimeoutError', url: '', saw: '' };
  if (!visit) return f;
  f.url = cut(visit.page.url());
  const body = visit.page.locator('body').innerText({ timeout: 2000 });
  f.saw = cut(await limited(body, 3000, '').catch(() => ''), 300);
  if (name) await limited(shoot(visit.page, name, 'screenshot of the failed step'), 8000, '').catch(() => {});
  return f;
}

// now is the step that is made.
const now = { step: 0, name: '' };

// measured makes the journey once for its timings and then again and again for its heap.
async function measured(browser) {
  const say = (kind, text, url) => report.errors.length < most.errors && report.errors.push({ kind, text: cut(text), url });
  let visit;
  try {
    visit = await Visit.begin(browser, say);
    const began = performance.now();
    await walk(visit, 0, (step, name) => {
      Object.assign(now, { step, name });
      if (job.module) report.steps.push(name);
    });
    report.duration = performance.now() - began;
    await visit.take();
    report.pages = structuredClone([...visit.documents.values()]); // repetitions add to them
    report.lost = Math.max(0, visit.entries - most.entries);
  } catch (e) {
    report.failed = await failure(visit, now, e, /net::ERR_/.test(e?.message) ? '' : 'failed');
  }
  if (!report.failed && job.repeat > 0) await repeated(visit);
  if (visit) await visit.close();
}

// repeated measures what each repetition leaves. Where the journey stayed in the document
// that its first step loaded, the repetitions do too; where not, each of them is whole.
async function repeated(visit) {
  try {
    await visit.throttle(1);
    const documents = visit.documents.size;
    report.whole = Boolean(job.module) || documents !== 1 || job.steps[0].kind !== 'goto' || !(await back(visit));
    report.heap.push(await visit.heap());
    for (let n = 0; n < job.repeat; n++) {
      await walk(visit, report.whole ? 0 : 1, (step, name) => Object.assign(now, { step, name }));
      if (!report.whole && !(await back(visit))) throw new Error('the journey left its document in a repetition');
      report.heap.push(await visit.heap());
    }
  } catch (e) {
    report.heapFailed = { ...(await failure(visit, now, e)), repetition: report.heap.length };
  }
}

// back returns to the address of the first step, as the Back button does; false if that is
// not possible within the document.
async function back(visit) {
  const { page } = visit;
  const documents = visit.documents.size;
  const want = new URL(job.url + job.steps[0].value);
  const there = () => page.evaluate(() => location.pathname + location.search);
  for (let n = 0; n < 20 && (await there()) !== want.pathname + want.search; n++) {
    const before = await page.evaluate(() => history.length);
    if (before < 2) return false;
    await page.evaluate(() => new Promise((done) => {
      addEventListener('popstate', () => setTimeout(done, 50), { once: true });
      setTimeout(done, 1000);
      history.back();
    })).catch(() => {});
    await visit.settle(false);
    if (visit.documents.size !== documents) return false;
  }
  return (await there()) === want.pathname + want.search;
}

// traced makes the journey once more, with a trace and the pictures that it asks for.
async function traced(browser) {
  const name = report.failed ? 'the failed journey, made again' : 'the journey, made once more';
  let visit;
  const at = { step: 0, name: '' };
  const file = join(job.out, 'trace.zip');
  report.trace = { file: '', what: name };
  try {
    visit = await Visit.begin(browser, () => {});
    // With a secret on the way neither requests nor documents are recorded, and no
    // pictures of it while it is typed.
    await visit.context.tracing.start({ screenshots: !job.steps.some((s) => s.secret), snapshots: !job.secret, sources: false });
    await walk(visit, 0, (step, text) => Object.assign(at, { step, name: text }), !report.failed);
    report.trace.passed = true;
  } catch (e) {
    report.trace.failed = await failure(visit, at, e);
  }
  try {
    await limited(visit.context.tracing.stop({ path: file }), 20000, 'the trace was not written');
    report.trace.file = 'trace.zip';
    report.trace.bytes = (await stat(file)).size;
  } catch (e) {
    report.trace.why = cut(e?.message ?? e);
  }
  if (visit) await visit.close();
}

async function all() {
  const browser = await chromium.launch({
    executablePath: job.chromium, args: job.flags, headless: true, timeout: 30000, handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false,
  });
  report.browser = browser.version();
  const late = `the journey was not done within ${job.limitMS / 1000} s`;
  let inTime = true;
  await limited(measured(browser), job.limitMS, late).catch((e) => {
    inTime = false;
    const f = { step: now.step, name: now.name, why: e.message, timeout: true, url: '', saw: '', late: true };
    if (report.pages.length > 0) report.heapFailed ??= { ...f, repetition: report.heap.length };
    else report.failed ??= f;
  });
  // Where the first step failed there is nothing to record.
  if (inTime && (report.failed ? report.failed.step > 0 : job.trace)) await limited(traced(browser), job.limitMS, late).catch((e) => (report.trace.why = e.message));
  await limited(browser.close(), 5000, '').catch(() => {});
}

await mkdir(job.out, { recursive: true });
await all();
await writeFile(`${job.report}.partial`, JSON.stringify(report));
await rename(`${job.report}.partial`, job.report);
process.exit(0);
