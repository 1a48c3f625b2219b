// Runs in a world of its own in each document of a journey: the page's scripts neither
// see it nor change what it says. Sends raw entries; what they amount to is computed
// elsewhere.
(() => {
  if (window !== window.top || !/^https?:$/.test(location.protocol)) return;
  const id = `${performance.timeOrigin}-${Math.random()}`;
  const send = (kind, ...values) => candlefish(JSON.stringify({ id, url: location.href, kind, values }));
  const observers = [];
  const observe = (type, each, options = {}) => {
    const observer = new PerformanceObserver((list) => list.getEntries().forEach(each));
    observer.observe({ type, buffered: true, ...options });
    observers.push([observer, each]);
  };
  const event = (e) => e.interactionId && send('event', e.interactionId, e.startTime, e.duration);
  let requested = false;
  const navigation = (e) => {
    if (requested || !(e?.responseStart > 0)) return;
    requested = true;
    send('ttfb', e.responseStart);
  };
  send('begin');
  observe('navigation', navigation);
  observe('paint', (e) => e.name === 'first-contentful-paint' && send('fcp', e.startTime));
  observe('largest-contentful-paint', (e) => send('lcp', e.startTime));
  observe('layout-shift', (e) => e.hadRecentInput || send('shift', e.startTime, e.value));
  observe('longtask', (e) => send('task', e.duration));
  observe('event', event, { durationThreshold: 16 });
  observe('first-input', event);
  const take = () => {
    for (const [observer, each] of observers) observer.takeRecords().forEach(each);
    navigation(performance.getEntriesByType('navigation')[0]);
    send('interactions', performance.interactionCount ?? 0);
  };
  addEventListener('pagehide', take, true);
  document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && take(), true);
  // An entry of an event exists only once the frame after it was painted.
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  globalThis.candlefishTake = async () => {
    await frame();
    await frame();
    take();
  };
})();
