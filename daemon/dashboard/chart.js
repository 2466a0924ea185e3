// Small line charts in SVG: fifteen minutes, one shared cursor, readable with pointer, touch and keyboard.

import { clock, known } from "./format.js";
import { GAP, SPAN } from "./points.js";

const HEIGHT = 156;
const EDGE = { top: 10, right: 10, bottom: 22, left: 50 };
const STEP = 15; // seconds per arrow key
const NS = "http://www.w3.org/2000/svg";

function svg(name, attributes = {}, text = "") {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}

// the next round number a scale may end with
function roundUp(value, steps) {
  for (const step of steps) if (value <= step) return step;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((n) => n * size).find((n) => n >= value);
}

export class ChartGroup {
  #charts = [];
  #cursor = null;

  add(figure, options) {
    this.#charts.push(new Chart(figure, options, (at) => this.#point(at)));
  }

  clear() {
    for (const chart of this.#charts) chart.end();
    this.#charts = [];
    this.#cursor = null;
  }

  draw(points, now) {
    for (const chart of this.#charts) chart.draw(points, now, this.#cursor);
  }

  #point(at) {
    this.#cursor = at;
    for (const chart of this.#charts) chart.point(at);
  }
}

class Chart {
  #options;
  #point;
  #plot;
  #values = new Map();
  #time;
  #points = [];
  #now = 0;
  #cursor = null;
  #watch = new ResizeObserver(() => this.#render());

  // options: title, series [{key, label, drawn}], format, tick (format of the scale), steps (round ends of the scale, first is the smallest)
  constructor(figure, options, point) {
    this.#options = { ...options, series: options.series.map((one) => ({ drawn: one.key, ...one })) };
    this.#point = point;
    this.#plot = svg("svg", {
      class: "plot", tabindex: "0", role: "slider", "aria-label": `${options.title}, time to read`,
      "aria-valuemin": -SPAN, "aria-valuemax": 0, "aria-valuenow": 0, "aria-valuetext": "now",
      "aria-roledescription": "chart",
    });
    figure.replaceChildren(this.#caption(), this.#plot);
    this.#listen();
    this.#watch.observe(figure);
  }

  end() {
    this.#watch.disconnect();
  }

  draw(points, now, cursor) {
    this.#points = points;
    this.#now = now;
    this.#cursor = cursor !== null && cursor < now - SPAN ? null : cursor;
    this.#render();
  }

  point(at) {
    this.#cursor = at;
    this.#render();
    const offset = at === null ? 0 : Math.round(at - this.#now);
    this.#plot.setAttribute("aria-valuenow", offset);
    this.#plot.setAttribute("aria-valuetext", this.#spoken());
  }

  #caption() {
    const caption = document.createElement("figcaption");
    const title = document.createElement("h3");
    title.textContent = this.#options.title;
    this.#time = document.createElement("span");
    this.#time.className = "time";
    const legend = document.createElement("p");
    legend.className = "legend";
    for (const one of this.#options.series) legend.append(this.#legendItem(one));
    caption.append(title, this.#time, legend);
    return caption;
  }

  #legendItem({ key, label, second }) {
    const item = document.createElement("span");
    item.classList.toggle("second", Boolean(second));
    const mark = document.createElement("i");
    const value = document.createElement("b");
    this.#values.set(key, value);
    item.append(mark, `${label} `, value);
    return item;
  }

  #listen() {
    const at = (event) => {
      const box = this.#plot.getBoundingClientRect();
      const share = (event.clientX - box.left - EDGE.left) / (box.width - EDGE.left - EDGE.right);
      this.#point(this.#now - SPAN * (1 - Math.min(1, Math.max(0, share))));
    };
    this.#plot.addEventListener("pointermove", at);
    this.#plot.addEventListener("pointerdown", at);
    this.#plot.addEventListener("pointerleave", () => this.#point(null));
    this.#plot.addEventListener("blur", () => this.#point(null));
    this.#plot.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const from = this.#cursor ?? this.#now;
    const to = {
      ArrowLeft: from - STEP, ArrowRight: from + STEP, ArrowDown: from - STEP, ArrowUp: from + STEP,
      PageDown: from - 60, PageUp: from + 60, Home: this.#now - SPAN, End: null, Escape: null,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#point(to === null || to >= this.#now ? null : Math.max(to, this.#now - SPAN));
  }

  #shown() {
    if (this.#cursor === null) return this.#points.at(-1);
    let best = null;
    for (const point of this.#points) {
      if (best === null || Math.abs(point.at - this.#cursor) < Math.abs(best.at - this.#cursor)) best = point;
    }
    return best && Math.abs(best.at - this.#cursor) <= GAP ? best : undefined;
  }

  #spoken() {
    const point = this.#shown();
    const { series, format } = this.#options;
    const when = this.#cursor === null ? "now" : clock(this.#cursor);
    if (!point) return `${when}: no data`;
    return `${when}: ${series.map(({ key, label }) => `${label} ${format(point[key])}`).join(", ")}`;
  }

  #render() {
    const width = this.#plot.clientWidth;
    if (!width || !this.#now) return;
    const { series, tick, steps } = this.#options;
    const start = this.#now - SPAN;
    const visible = this.#points.filter((point) => point.at >= start);
    const peak = Math.max(0, ...visible.flatMap((point) => series.map(({ drawn }) => point[drawn] ?? 0)));
    const top = roundUp(peak, steps);
    const x = (at) => EDGE.left + ((at - start) / SPAN) * (width - EDGE.left - EDGE.right);
    const y = (value) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
    this.#plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#plot.replaceChildren(
      ...scale(top, y, width, tick), ...times(start, this.#now, x, width),
      ...series.toReversed().flatMap((one) => line(visible, one, x, y)),
      ...this.#marker(x, y),
    );
    if (visible.length < 2) this.#plot.append(svg("text", { class: "empty", x: width / 2, y: HEIGHT / 2 }, "Collecting the first minutes"));
    this.#readout();
  }

  #marker(x, y) {
    const point = this.#shown();
    const marks = [];
    if (this.#cursor !== null) {
      marks.push(svg("line", { class: "cursor", x1: x(this.#cursor), x2: x(this.#cursor), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }));
    }
    for (const { drawn, second } of this.#options.series) {
      if (point && known(point[drawn]) && point.at >= this.#now - SPAN) {
        marks.push(svg("circle", { class: second ? "dot second" : "dot", cx: x(point.at), cy: y(point[drawn]), r: 3 }));
      }
    }
    return marks;
  }

  #readout() {
    const point = this.#shown();
    this.#time.textContent = this.#cursor === null ? "last 15 minutes" : clock(this.#cursor);
    for (const [key, node] of this.#values) node.textContent = this.#options.format(point?.[key] ?? null);
  }
}

function scale(top, y, width, tick) {
  return [0, top / 2, top].flatMap((value) => [
    svg("line", { class: value ? "grid" : "base", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
    svg("text", { class: "tick", x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, tick(value)),
  ]);
}

function times(start, now, x, width) {
  const marks = [];
  for (let at = Math.ceil(start / 300) * 300; at <= now; at += 300) {
    marks.push(svg("text", { class: "tick", x: Math.min(x(at), width - 17), y: HEIGHT - 5, "text-anchor": "middle" }, clock(at, false)));
  }
  return marks;
}

// one path per unbroken run, and a soft area below it
function line(points, { drawn, second }, x, y) {
  const runs = [];
  let last = null;
  for (const point of points) {
    if (!known(point[drawn])) {
      last = null;
      continue;
    }
    if (last === null || point.at - last > GAP) runs.push([]);
    runs.at(-1).push(`${x(point.at).toFixed(1)},${y(point[drawn]).toFixed(1)}`);
    last = point.at;
  }
  const drawnAs = (name) => (second ? `${name} second` : name);
  return runs.flatMap((run) => [
    svg("path", { class: drawnAs("area"), d: `M${run[0].split(",")[0]},${y(0)}L${run.join("L")}L${run.at(-1).split(",")[0]},${y(0)}Z` }),
    svg("path", { class: drawnAs("line"), d: `M${run.join("L")}` }),
  ]);
}
