// What all scenarios share. Variables of the environment:
//   BASE_URL  what is loaded, without a slash at its end
//   PAGES     a JSON list of paths; each visit takes one, all with equal weights
//   HEADERS   a JSON object of headers for BASE_URL's own origin; secret
//   DURATION  seconds of the whole scenario, USERS at its peak; the scenario's own if not set
//   RATE      visits per second at least, of sustained
//   P95, P99  limits in milliseconds, 0 for none, and ERRORS, the share of requests that
//             may fail, 0 for none of them
import http from 'k6/http';
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';

const base = __ENV.BASE_URL;
const origin = base.match(/^https?:\/\/[^/]+/)[0];
const pages = JSON.parse(__ENV.PAGES || '["/"]');
const headers = JSON.parse(__ENV.HEADERS || '{}');
const set = (name, own) => Number(__ENV[name] || own);

// below are thresholds of response times and failures.
export function below(metric) {
  const p95 = set('P95', 2000);
  const p99 = set('P99', 5000);
  const failed = set('ERRORS', 0.01);
  return {
    [metric('http_req_duration')]: ['avg>=0'].concat(p95 > 0 ? `p(95)<${p95}` : [], p99 > 0 ? `p(99)<${p99}` : []),
    [metric('http_req_failed')]: [failed > 0 ? `rate<${failed}` : 'rate<=0'],
  };
}

// How much later than it should k6 went on: after an answer had come, or after a pause.
const lag = new Trend('generator_lag', true);
// Redirects to another host, which are not followed: the headers are not for it.
const elsewhere = new Counter('redirects_elsewhere');

// scaled fits a shape to the DURATION and the USERS that are asked for.
function scaled(shape) {
  const own = shape.stages.reduce((sum, stage) => sum + stage[0], 0);
  const time = set('DURATION', own) / own;
  const users = set('USERS', shape.users) / shape.users;
  return {
    users: Math.max(1, Math.round(shape.users * users)),
    seconds: own * time,
    stages: shape.stages.map(([seconds, target]) => ({
      duration: `${Math.round(seconds * time * 1000)}ms`,
      target: target === 0 ? 0 : Math.max(1, Math.round(target * users)),
    })),
  };
}

// limits are thresholds. Each names the scenario, so that the summary has the numbers of
// the scenario alone, without the warm-up.
function limits(name, seconds, rate) {
  const of = (metric) => `${metric}{scenario:${name}}`;
  return Object.assign(below(of), {
    [of('http_reqs')]: [`count>${rate * seconds}`],
    [of('checks')]: ['rate>=0'],
    [of('iterations')]: ['count>0'],
    [of('dropped_iterations')]: ['count<1'],
    [of('generator_lag')]: ['avg>=0'],
    [of('redirects_elsewhere')]: ['count>=0'],
  });
}

const always = {
  discardResponseBodies: true,
  noConnectionReuse: false,
  noVUConnectionReuse: false,
  userAgent: 'candlefish-deploy-action load test (k6)',
};

// closed is a scenario of users who pause between their visits: a slow site gets fewer.
export function closed(shape, more) {
  const to = scaled(shape);
  return Object.assign({}, always, {
    scenarios: {
      [shape.name]: { executor: 'ramping-vus', startVUs: 0, stages: to.stages, gracefulRampDown: '30s', gracefulStop: '30s' },
    },
    thresholds: Object.assign(limits(shape.name, to.seconds, 0), more),
  });
}

// open is a scenario of visits that begin at a rate, however slow the site is. It aims
// a tenth over the rate that it must exceed.
export function open(shape) {
  const to = scaled(shape);
  const rate = set('RATE', shape.rate);
  return Object.assign({}, always, {
    scenarios: {
      [shape.name]: {
        executor: 'constant-arrival-rate', exec: 'hurry', rate: Math.ceil(rate * 1.1), timeUnit: '1s',
        duration: `${Math.round(to.seconds * 1000)}ms`, preAllocatedVUs: to.users, maxVUs: to.users, gracefulStop: '30s',
      },
    },
    thresholds: limits(shape.name, to.seconds, rate),
  });
}

// get asks for a URL and follows redirects, but not to another host.
function get(url, params) {
  let response;
  for (let hops = 0; hops <= 5; hops++) {
    const began = Date.now();
    response = http.get(url, params);
    if (response.status !== 0) {
      lag.add(Math.max(0, Date.now() - began - response.timings.blocked - response.timings.duration));
    }
    const to = response.headers.Location;
    if (response.status < 300 || response.status >= 400 || !to) {
      return response;
    }
    if (/^\/(?!\/)/.test(to)) {
      url = origin + to;
    } else if (to === origin || to.startsWith(`${origin}/`)) {
      url = to;
    } else {
      elsewhere.add(1);
      return response;
    }
  }
  return response;
}

function visit(tags) {
  const page = pages[Math.floor(Math.random() * pages.length)];
  const response = get(base + page, { headers, redirects: 0, timeout: '30s', tags: Object.assign({ name: page }, tags) });
  check(response, { 'status is 2xx': (r) => r.status >= 200 && r.status < 300 });
}

// setup asks for each page twice before anything is measured: the first answers of a
// cold process are not those that its users get.
export function setup() {
  for (const page of pages.concat(pages)) {
    get(base + page, { headers, redirects: 0, timeout: '10s', tags: { name: page } });
  }
}

// hurry is a visit without a pause.
export function hurry() {
  visit({});
}

// stroll is a visit and a pause of 1 to 4 s.
export function stroll(tags) {
  visit(tags || {});
  const pause = 1 + 3 * Math.random();
  const began = Date.now();
  sleep(pause);
  lag.add(Math.max(0, Date.now() - began - pause * 1000));
}

// after reports whether a share of the scenario is over.
export function after(share) {
  return exec.scenario.progress >= share;
}
