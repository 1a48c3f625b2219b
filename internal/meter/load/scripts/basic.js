// A few users: does the site answer well at all?
import { closed, stroll } from './common.js';

// Users at the peak, and stages: seconds, and the users at their end.
const shape = {"name": "basic", "users": 10, "stages": [[60, 10], [120, 10], [60, 0]]};

export const options = closed(shape);
export { setup } from './common.js';
export default function () {
  stroll();
}
