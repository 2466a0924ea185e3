// Which charts there are while the tables are copied, while changes stream, and on the way back; and the same as
// a table, for those who would rather read it.

import { ChartGroup } from "./chart.js";
import { $, element, list, text } from "./dom.js";
import { clock, compact, duration, known, rate, tick } from "./format.js";
import { SPAN, buckets } from "./points.js";

// where a scale may end; the first is the smallest, so that a line near zero lies at the bottom
const SECONDS = [4, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 14400, 28800, 86400];
const COUNTS = [10];
const MINUTE = 60;

const seconds = { format: duration, tick: (value) => duration(value).replace(".0", ""), steps: SECONDS };
const counts = { format: compact, tick, steps: COUNTS };
const rates = { format: rate, tick, steps: COUNTS };

const BEHIND = {
  title: "Seconds behind", ...seconds,
  series: [{ key: "oldest", label: "Oldest change" }, { key: "heartbeat", label: "Heartbeat", drawn: "edge", second: true }],
};
const PENDING = { title: "Changes pending", ...counts, series: [{ key: "pending", label: "Pending" }] };
const STREAM = {
  title: "Changes per second", ...rates,
  series: [{ key: "out", label: "Applied" }, { key: "in", label: "Captured", second: true }],
};
const COPY = {
  title: "Rows copied, changes captured", ...rates,
  series: [{ key: "copy", label: "Copied" }, { key: "in", label: "Captured", second: true }],
};
const SETS = {
  copy: [BEHIND, PENDING, COPY],
  stream: [BEHIND, PENDING, STREAM],
  back: [
    { title: "Seconds behind, to SQLite", ...seconds, series: [{ key: "back_oldest", label: "Oldest change" }] },
    { title: "Changes to bring back", ...counts, series: [{ key: "back_pending", label: "Waiting" }] },
    { title: "Brought back per second", ...rates, series: [{ key: "back", label: "Brought back" }] },
  ],
};
const PLACES = ["chart-seconds", "chart-pending", "chart-rates"];

export class Charts {
  #group = new ChartGroup();
  #mode = null;
  #columns = [];
  #points = [];
  #now = 0;

  constructor() {
    $("charts-table").addEventListener("toggle", () => this.#table());
  }

  choose(mode) {
    if (this.#mode === mode) return;
    this.#mode = mode;
    this.#group.clear();
    SETS[mode].forEach((options, i) => this.#group.add($(PLACES[i]), options));
    this.#columns = SETS[mode].flatMap((one) => one.series.map(({ key, label }) => ({ key, label, format: one.format })));
    const heads = ["Time", ...this.#columns.map(({ label }) => label)].map((label, i) => {
      const head = element("th", i ? "number" : "", label);
      head.scope = "col";
      return head;
    });
    $("charts-table").querySelector("thead tr").replaceChildren(...heads);
    $("charts-table").querySelector("tbody").replaceChildren();
  }

  draw(points, now) {
    if (this.#mode === null) return;
    this.#points = buckets(points, now);
    this.#now = now;
    this.#group.draw(this.#points, now);
    this.#table();
  }

  #table() {
    if (!$("charts-table").open) return;
    const minutes = new Map();
    for (const point of this.#points) {
      const minute = Math.floor(point.at / MINUTE);
      if (point.at >= this.#now - SPAN) minutes.set(minute, [...(minutes.get(minute) ?? []), point]);
    }
    const rows = [...minutes].reverse();
    const create = () => {
      const row = element("tr");
      const head = element("th");
      head.scope = "row";
      row.append(head, ...this.#columns.map(() => element("td", "number")));
      return row;
    };
    list($("charts-table").querySelector("tbody"), rows, ([minute]) => `${minute}`, create, (row, [minute, points]) => {
      text(row.firstChild, clock(minute * MINUTE, false));
      this.#columns.forEach(({ key, format }, i) => text(row.children[i + 1], format(highest(points, key))));
    });
  }
}

function highest(points, key) {
  const values = points.map((point) => point[key]).filter(known);
  return values.length ? Math.max(...values) : null;
}
