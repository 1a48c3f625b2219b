// The users of a usual day.
import { closed, stroll } from './common.js';

// Users at the peak, and stages: seconds, and the users at their end.
const shape = {"name": "load", "users": 50, "stages": [[60, 50], [300, 50], [60, 0]]};

export const options = closed(shape);
export { setup } from './common.js';
export default function () {
  stroll();
}
