// Visits or audits one page by Lighthouse's own API, with a browser that it starts and
// that ends with it. Its argument names a file with the job, which it removes: the job
// may have secrets. The command line of Lighthouse would send extra headers to every
// origin that a page loads from, and write them into its report; here they are added to
// the requests to the page's own origin alone, and Lighthouse does not know them.
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const file = process.argv[2];
const job = JSON.parse(await readFile(file, 'utf8'));
await rm(file);

const require = createRequire(job.lighthouse); // the script of its command line
const core = join(dirname(dirname(job.lighthouse)), 'core');
const load = async (path) => import(pathToFileURL(path));
const puppeteer = await load(require.resolve('puppeteer-core')).then((m) => m.default ?? m);

// identify adds headers to the requests of all pages, frames and workers to one origin.
// A redirect is a new request, that is asked about again: what was added before is not
// taken along.
async function identify(browser, origin, headers) {
  const session = await browser.target().createCDPSession();
  const names = Object.keys(headers);
  session.on('Fetch.requestPaused', ({ requestId, request }) => {
    const change = { requestId };
    if (new URL(request.url).origin === origin) {
      const others = Object.entries(request.headers).filter(([name]) => !names.includes(name.toLowerCase()));
      change.headers = [...others, ...Object.entries(headers)].map(([name, value]) => ({ name, value }));
    }
    session.send('Fetch.continueRequest', change).catch(() => {}); // it may be gone
  });
  await session.send('Fetch.enable', { patterns: [{ urlPattern: `${origin}/*` }] });
}

// fetchOwn is for what Lighthouse asks for beside the page, such as robots.txt: the browser
// lets nobody change those requests.
async function fetchOwn(origin, headers) {
  const { Fetcher } = await load(join(core, 'gather/fetcher.js'));
  const { fetchResource } = Fetcher.prototype;
  Fetcher.prototype.fetchResource = async function (url, options = { timeout: 2000 }) {
    if (new URL(url).origin !== origin) return fetchResource.call(this, url, options);
    const response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(options.timeout) });
    const content = response.ok ? await response.text() : null;
    return { content, status: response.status, headers: Object.fromEntries(response.headers) };
  };
}

// hopeless are errors that waiting does not mend.
const hopeless = /ERR_(CERT_|SSL_|TOO_MANY_REDIRECTS|NAME_NOT_RESOLVED|INVALID_URL)/;

// visit loads the page until it answers well, and says what it saw last. A preview that
// nobody visited yet may answer late, or with an error at first.
async function visit(browser) {
  const deadline = Date.now() + job.visitMS;
  for (let tries = 1; ; tries++) {
    const seen = await look(browser, deadline - Date.now());
    if (seen.status < 400 || tries === 3 || Date.now() + 2000 > deadline || hopeless.test(seen.error)) return { ...seen, tries };
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function look(browser, timeout) {
  const page = await browser.newPage();
  try {
    const response = await page.goto(job.url, { waitUntil: 'load', timeout });
    if (!response) return { error: 'there was no response' };
    const meta = await page.evaluate(() => document.querySelector('meta[name="x-version" i], meta[name="version" i]')?.content ?? '').catch(() => '');
    return { status: response.status(), url: response.url(), version: response.headers()['x-version'] ?? meta };
  } catch (e) {
    return { error: readable(e) };
  } finally {
    await page.close().catch(() => {});
  }
}

async function audit(browser) {
  const { default: lighthouse } = await load(join(core, 'index.js'));
  const page = await browser.newPage();
  const { lhr, report } = await lighthouse(job.url, { ...job.flags, output: ['json', 'html'], logLevel: 'error' }, undefined, page);
  // Lighthouse does not say why the browser shows a page of its own; the browser does.
  if (lhr.runtimeError) console.error((await look(browser, 2000)).error ?? '');
  return report;
}

// readable is an error in one line.
function readable(e) {
  return clean(String(e?.friendlyMessage ?? e?.message ?? e)).trim().split('\n')[0];
}

// clean takes the values of the headers out of a report: a page may show what it got.
function clean(text) {
  for (const value of Object.values(job.headers)) {
    if (value.length > 5) text = text.replaceAll(JSON.stringify(value).slice(1, -1), '[removed]');
  }
  return text;
}

// temporary is the folder for the browser's profile and its sockets, whose paths may not
// be long: isolated, the folder of this run is also /tmp.
async function temporary() {
  const [own, short] = await Promise.all([process.env.TMPDIR, '/tmp'].map((dir) => stat(dir).catch(() => ({}))));
  return own.ino === short.ino && own.dev === short.dev ? '/tmp' : process.env.TMPDIR;
}

async function run(browser) {
  if (Object.keys(job.headers).length > 0) {
    const { origin } = new URL(job.url);
    await identify(browser, origin, job.headers);
    await fetchOwn(origin, job.headers);
  }
  if (job.visit) {
    await writeFile(job.json, clean(JSON.stringify(await visit(browser))));
    return;
  }
  const [json, html] = await audit(browser);
  await writeFile(job.html, clean(html));
  await writeFile(job.json, clean(json)); // at last: with it the run is whole
}

const TMPDIR = await temporary();
const { browser, error } = await puppeteer
  .launch({
    executablePath: job.chromium,
    args: [...job.chromiumFlags, `--user-data-dir=${join(TMPDIR, `chromium-${process.pid}`)}`, '--remote-debugging-pipe'],
    ignoreDefaultArgs: true,
    env: { ...process.env, TMPDIR },
    pipe: true,
    defaultViewport: null,
    timeout: 60000,
  })
  .then((browser) => ({ browser }), (error) => ({ error }));
const failure = error ? `start the browser: ${readable(error)}` : await run(browser).then(() => '', readable);
await browser?.close().catch(() => {});
if (failure) console.error(failure);
process.exit(failure ? 1 : 0);
