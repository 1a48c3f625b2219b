import http from 'k6/http';
import { check, sleep } from 'k6';
export const options = { discardResponseBodies: true, scenarios: { load: { executor: 'shared-iterations', vus: 2, iterations: Number(__ENV.N) } },
 thresholds: { 'http_req_duration{scenario:load}': ['avg>=0'], 'http_req_failed{scenario:load}': ['rate>=0'], 'checks{scenario:load}': ['rate>=0'], 'http_reqs{scenario:load}': ['count>=0'], 'iterations{scenario:load}': ['count>=0'] } };
export function setup(){ http.get(__ENV.BASE_URL+'/'); }
export default function(){ const r=http.get(__ENV.BASE_URL+(__ITER%5==4?'/500':'/')); check(r,{'status is 2xx':(r)=>r.status>=200&&r.status<300}); }
