// A usual load, ten times as many users within five seconds, and whether the site
// recovers from them.
import { after, below, closed, stroll } from './common.js';

// Users at the peak, and stages: seconds, and the users at their end.
const shape = {"name": "spike", "users": 500, "stages": [[60, 50], [60, 50], [5, 500], [30, 500], [5, 50], [120, 50], [60, 0]]};

const total = shape.stages.reduce((sum, stage) => sum + stage[0], 0);
const recovery = (60 + 60 + 5 + 30 + 5) / total;

export const options = closed(shape, below((metric) => `${metric}{phase:recovery}`));
export { setup } from './common.js';
export default function () {
  stroll(after(recovery) ? { phase: 'recovery' } : {});
}
