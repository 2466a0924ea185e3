// The last fifteen minutes as points to draw: one per few seconds, rates from running totals. No DOM in here.

import { known } from "./format.js";

export const SPAN = 900; // seconds shown
export const GAP = 30; // seconds without data after which a line is broken instead of drawn through
const BUCKET = 3; // seconds drawn as one point, by its highest value, so that no peak is lost
const WINDOW = 12; // seconds a rate, and the highest heartbeat age, are taken over; shorter jitters
const LEVELS = ["pending", "oldest", "heartbeat", "back_pending", "back_oldest"];
const COUNTERS = { in: "captured", out: "applied", copy: "copied", back: "back_applied" };

// raw points -> one bucket per BUCKET seconds, aligned to the clock so that nothing flickers
export function buckets(points, now) {
  const made = new Map();
  const newest = points.at(-1); // stays by itself: "now" is what is, not the highest of three seconds
  for (const point of points.slice(0, -1)) {
    if (point.at < now - SPAN - GAP || point.at > now + BUCKET) continue;
    const key = Math.floor(point.at / BUCKET);
    const had = made.get(key);
    made.set(key, had ? merged(had, point) : point);
  }
  return withRates([...made.values(), ...(newest ? [newest] : [])]);
}

function merged(a, b) {
  const both = { ...b };
  for (const field of LEVELS) both[field] = known(a[field]) && known(b[field]) ? Math.max(a[field], b[field]) : a[field] ?? b[field];
  return both;
}

// what needs its neighbours: rates, and the heartbeat's upper edge (its age is a sawtooth by nature)
function withRates(list) {
  let from = 0;
  return list.map((point, i) => {
    while (list[from].at < point.at - WINDOW) from += 1;
    const ages = list.slice(from, i + 1).map((near) => near.heartbeat).filter(known);
    const base = list[Math.max(0, from - 1)];
    const made = { ...point, edge: known(point.heartbeat) ? Math.max(...ages) : null };
    for (const [name, counter] of Object.entries(COUNTERS)) made[name] = pace(point, base, counter);
    return made;
  });
}

function pace(to, from, counter) {
  const seconds = to.at - from.at;
  if (seconds < BUCKET || seconds > GAP || !known(to[counter]) || !known(from[counter])) return null;
  const change = to[counter] - from[counter];
  return change < 0 ? null : change / seconds; // a new daemon counts from 0 again
}
