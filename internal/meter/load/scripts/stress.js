// More users than on a usual day, for long.
import { closed, stroll } from './common.js';

// Users at the peak, and stages: seconds, and the users at their end.
const shape = {"name": "stress", "users": 200, "stages": [[60, 200], [600, 200], [60, 0]]};

export const options = closed(shape);
export { setup } from './common.js';
export default function () {
  stroll();
}
