// Up to 1,000 users for five minutes, who come at a rate: what the site must bear.
import { open } from './common.js';

// Users at most, visits per second at least, and stages: seconds.
const shape = {"name": "sustained", "users": 1000, "rate": 100, "stages": [[300, 1000]]};

export const options = open(shape);
export { hurry, setup } from './common.js';
