// What has happened lately: the daemon's journal, and what only this page knows, its own connection.

import { $, element } from "./dom.js";
import { clock, moment, sentence } from "./format.js";

const MOST = 200;
const TIMEOUT = 10_000; // milliseconds for one answer
const TONES = { info: "idle", warning: "warn", error: "bad" };

export class Events {
  #items = []; // newest first
  #started = null;
  #last = 0;
  #asking = false;

  // fetches what is new; a daemon that was restarted counts from 1 again
  async follow(status) {
    if (this.#started !== null && this.#started !== status.started_at) this.#last = 0;
    this.#started = status.started_at;
    if (this.#asking || (status.last_event ?? 0) <= this.#last) return;
    this.#asking = true;
    try {
      const answer = await fetch(`api/journal?after=${this.#last}`, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
      if (answer.ok) for (const event of await answer.json()) this.#take(event, status.sources.length > 1);
    } catch {
      // asked again with the next status
    } finally {
      this.#asking = false;
      this.#show();
    }
  }

  // something that the daemon cannot know
  note(at, level, line) {
    this.#put(at, level, line);
    this.#show();
  }

  #take(event, many) {
    this.#last = Math.max(this.#last, event.number);
    const name = many && event.source ? `${event.source.slice(event.source.lastIndexOf("/") + 1)}: ` : "";
    const line = sentence(event.text);
    this.#put(Date.parse(event.at) / 1000, TONES[event.level] ?? "idle", name + line);
  }

  #put(at, level, line) {
    const before = this.#items.findIndex((item) => item.at <= at);
    this.#items.splice(before < 0 ? this.#items.length : before, 0, { at, node: node(at, level, line) });
    this.#items.length = Math.min(this.#items.length, MOST);
  }

  #show() {
    $("events").replaceChildren(...this.#items.map((item) => item.node));
  }
}

function node(at, level, line) {
  const item = element("li");
  item.dataset.tone = level;
  const old = Date.now() / 1000 - at > 12 * 3600;
  const time = element("time", "", old ? moment(at) : clock(at));
  time.dateTime = new Date(at * 1000).toISOString();
  item.append(time, element("span", "", line));
  if (level === "bad" || level === "warn") item.lastChild.prepend(element("b", "", level === "bad" ? "Error" : "Warning"), " ");
  return item;
}
