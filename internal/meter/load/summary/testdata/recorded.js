import http from 'k6/http';
import { check } from 'k6';
export const options = { discardResponseBodies: true,
 scenarios: { browse: { executor: 'constant-arrival-rate', rate: 50, timeUnit: '1s', duration: '2s', preAllocatedVUs: 1, maxVUs: 1 } },
 thresholds: { 'http_req_duration': ['p(95)<2000','p(99)<1'], http_req_failed: ['rate<0.01'], 'checks{absent:yes}': ['rate>0.9'] } };
export default function(){ const r=http.get(__ENV.BASE_URL+(__ITER%5?'/':'/500')); check(r,{'status is 2xx':(r)=>r.status>=200&&r.status<300}); }
