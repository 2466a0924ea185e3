// Keeps the page fed: server-sent events first, polling when they fail, and an honest banner when both do.

import { Charts } from "./charts.js";
import { Events } from "./events.js";
import { clock, duration } from "./format.js";
import { mode, totals } from "./model.js";
import { SPAN } from "./points.js";
import { View } from "./view.js";

const STALE = 4; // seconds without a status after which we ask ourselves
const REOPEN = 10; // seconds until a refused event stream is tried again
const TIMEOUT = 5000; // milliseconds for one answer

const $ = (id) => document.getElementById(id);
const seconds = () => performance.now() / 1000;

class Feed {
  #view = new View();
  #charts = new Charts();
  #events = new Events();
  #points = [];
  #skew = 0; // the daemon's clock minus ours, in seconds
  #seen = null; // seconds() of the last status
  #seenAt = 0; // the same on the daemon's clock
  #version = null;
  #link = "waiting";
  #stream = null;
  #reopenAt = 0;
  #asking = false;
  #seeding = false;
  #seeded = false; // whether the minutes before this page are here

  start() {
    this.#seed();
    this.#open();
    setInterval(() => this.#tick(), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || this.#tick());
  }

  #now() {
    return Date.now() / 1000 + this.#skew;
  }

  #open() {
    this.#stream = new EventSource("api/events");
    this.#stream.onmessage = (event) => {
      this.#skew = Number(event.lastEventId) - Date.now() / 1000;
      this.#accept(JSON.parse(event.data), "live");
    };
    this.#stream.onerror = () => {
      // the browser tries again by itself, unless the daemon refused the stream
      if (this.#stream?.readyState === EventSource.CLOSED) {
        this.#stream = null;
        this.#reopenAt = seconds() + REOPEN;
      }
      this.#ask();
    };
  }

  #tick() {
    if (!this.#stream && seconds() >= this.#reopenAt) this.#open();
    if (this.#seen === null || seconds() - this.#seen > STALE || !this.#stream) this.#ask();
    if (this.#link === "lost") {
      this.#sayLost();
      this.#draw();
    } else if (!this.#seeded) {
      this.#seed();
    }
  }

  async #ask() {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const answer = await fetch("api/status", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const date = Date.parse(answer.headers.get("Date"));
      if (this.#seen === null && date) this.#skew = (date - Date.now()) / 1000;
      this.#accept(await answer.json(), "polling");
    } catch {
      this.#lose();
    } finally {
      this.#asking = false;
    }
  }

  async #seed() {
    if (this.#seeding) return;
    this.#seeding = true;
    try {
      const answer = await fetch("api/history", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
      if (!answer.ok) throw new Error(`history ${answer.status}`);
      const history = await answer.json();
      const last = history.at(-1)?.at ?? 0;
      this.#points = [...history, ...this.#points.filter((point) => point.at > last)];
      this.#seeded = true;
      this.#draw();
    } catch {
      // until it is had, the charts begin with what arrives live
    } finally {
      this.#seeding = false;
    }
  }

  #accept(status, link) {
    // an upgraded daemon brings a new page along
    if (this.#version !== null && this.#version !== status.version) location.reload();
    this.#version = status.version;
    if (this.#link === "lost") this.#regain();
    this.#seen = seconds();
    this.#setLink(link);
    const at = this.#now();
    this.#seenAt = at;
    this.#points = this.#points.filter((point) => point.at > at - SPAN - 60);
    this.#points.push(point(status, at));
    this.#view.render(status, at);
    this.#events.follow(status);
    this.#charts.choose(mode(status));
    this.#draw();
  }

  #draw() {
    this.#charts.draw(this.#points, this.#now());
  }

  #setLink(link) {
    if (this.#link === link) return;
    this.#link = link;
    const words = { live: "Live", polling: "Live, by polling", lost: "Connection lost" };
    $("freshness").dataset.link = link;
    $("freshness").lastElementChild.textContent = words[link];
    document.body.toggleAttribute("data-lost", link === "lost");
    $("lost").hidden = link !== "lost";
  }

  #lose() {
    if (this.#link !== "lost") this.#events.note(this.#now(), "bad", "This page lost the daemon.");
    this.#setLink("lost");
    this.#sayLost();
  }

  #regain() {
    this.#events.note(this.#now(), "ok", "This page reaches the daemon again.");
    this.#seeded = false;
    this.#seed();
  }

  #sayLost() {
    // the time stays the same from one try to the next: an alert that changed would be read out each second
    const line = this.#seen === null
      ? "The daemon does not answer. Trying again."
      : `The daemon does not answer. The figures below are from ${clock(this.#seenAt)}. Trying again.`;
    if ($("lost-text").textContent !== line) $("lost-text").textContent = line;
    const age = this.#seen === null ? "" : duration(Math.max(1, Math.round(seconds() - this.#seen)));
    $("lost-age").textContent = age && `They are ${age} old.`;
    $("freshness").lastElementChild.textContent = age ? `Lost, figures ${age} old` : "Connection lost";
  }
}

function point(status, at) {
  const total = totals(status);
  return {
    at, pending: total.pending, oldest: total.oldest, heartbeat: total.heartbeat, applied: total.applied,
    captured: total.captured, copied: total.copied, back_pending: total.backPending, back_oldest: total.backOldest,
    back_applied: total.backApplied,
  };
}

new Feed().start();
