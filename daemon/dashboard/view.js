// Writes the status into the page: state, readiness, problems, copy, verification, moves.

import { $, element, icon, list, prose, show, text, tone } from "./dom.js";
import { about, clock, compact, count, duration, moment, percent, plural, rate } from "./format.js";
import { journey, timeline } from "./journey.js";
import * as model from "./model.js";
import { renderMove } from "./move.js";
import { SourcePanel } from "./sources.js";
import { renderTiles } from "./tiles.js";

export class View {
  #sources = new Map();
  #said = null;

  // at: the daemon's clock, in epoch seconds
  render(status, at) {
    const said = model.summary(status);
    document.body.removeAttribute("data-waiting");
    document.title = title(status, said);
    text($("version"), status.version ?? "");
    text($("uptime"), status.started_at ? `up ${uptime(at - Date.parse(status.started_at) / 1000)}` : "");
    renderState(status, said, at);
    renderReadiness(status);
    renderProblems(status);
    renderMove("cutover", status.cutover);
    renderMove("rollback", status.rollback);
    renderCopy(status);
    renderTiles(status);
    renderVerification(status);
    renderTimeline(status, at);
    this.#renderSources(status);
    this.#announce(status, said);
  }

  #renderSources(status) {
    const create = (source) => {
      const panel = new SourcePanel(status);
      this.#sources.set(source.path, panel);
      return panel.node;
    };
    list($("sources"), status.sources, (source) => source.path, create, (_, source) => {
      this.#sources.get(source.path).render(source, status.sources.length > 1);
    });
  }

  // to a screen reader only what changes the picture; figures would be read out each second
  #announce(status, said) {
    const ready = model.readiness(status).word;
    const line = `State: ${said.word}. ${ready}.`;
    if (this.#said !== null && this.#said !== line) text($("announce"), line);
    this.#said = line;
  }
}

function title(status, said) {
  const total = model.totals(status);
  if (status.state === "snapshot") return `${percent(model.copyProgress(status).share)} copied · liteferry`;
  return `${said.word}${total.pending ? ` · ${compact(total.pending)} pending` : ""} · liteferry`;
}

function uptime(seconds) {
  return duration(seconds < 60 ? Math.max(1, Math.floor(seconds)) : Math.floor(seconds / 60) * 60);
}

function renderState(status, said, at) {
  tone($("state"), said.tone);
  icon("state-icon", said.tone);
  text($("state-word"), said.word);
  text($("headline"), said.text);
  const { number, unit } = model.figure(status);
  show($("figure"), number !== "");
  text($("figure").firstElementChild, number);
  text($("figure").lastElementChild, unit);
  const marks = { done: "done", current: "now", halted: "stopped here", open: "to come" };
  const create = (step) => {
    const item = element("li");
    item.append(element("span", "step", step.name), element("span", "sr"), element("span", "when"));
    return item;
  };
  list($("journey"), journey(status, at), (step) => step.name, create, (item, step) => {
    item.dataset.mark = step.mark;
    text(item.children[1], `, ${marks[step.mark]}`);
    text(item.lastChild, step.entry ? when(step.entry) : "");
    if (["current", "halted"].includes(step.mark)) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  });
}

function when(entry) {
  return entry.last ? `since ${clock(entry.at, false)}` : `${clock(entry.at, false)}, ${duration(entry.lasted)}`;
}

function renderTimeline(status, at) {
  const entries = timeline(status, at).reverse();
  const create = (entry) => {
    const item = element("li");
    const time = element("time", "", at - entry.at < 12 * 3600 ? clock(entry.at) : moment(entry.at));
    time.dateTime = new Date(entry.at * 1000).toISOString();
    item.append(time, element("b", "", entry.word), element("span"));
    return item;
  };
  list($("timeline"), entries, (entry) => `${entry.at} ${entry.state}`, create, (item, entry) => {
    tone(item, entry.tone);
    const lasted = entry.last && entry.lasted >= 60 ? Math.floor(entry.lasted / 60) * 60 : entry.lasted;
    text(item.lastChild, entry.last ? `for ${uptime(lasted)} now` : `for ${duration(entry.lasted)}`);
  });
}

// texts may occur twice, their places do not
function numbered(items) {
  return items.map((item, i) => ({ item, i, key: `${i} ${item}` }));
}

function renderReadiness(status) {
  const ready = model.readiness(status);
  tone($("readiness"), ready.tone);
  icon("readiness-icon", ready.tone);
  text($("readiness-label"), ready.title);
  text($("readiness-word"), ready.word);
  prose($("readiness-note"), ready.note);
  const create = ({ item }) => {
    const line = element("li");
    prose(line, item);
    return line;
  };
  list($("reasons"), numbered(ready.reasons), ({ key }) => key, create, () => {});
}

function renderProblems(status) {
  const found = model.problems(status);
  show($("problems"), found.length > 0);
  const create = () => {
    const line = element("li");
    line.append(element("b"), " ", element("span"));
    return line;
  };
  list($("problems").firstElementChild, numbered(found), ({ i }) => `${i}`, create, (line, { item }) => {
    tone(line, item.tone);
    text(line.firstChild, item.label);
    prose(line.lastChild, item.text);
  });
}

function renderCopy(status) {
  const copy = model.copyProgress(status);
  show($("copy"), !copy.complete && !["new", "preflight"].includes(status.state));
  $("copy-bar").value = copy.share ?? 0;
  text($("copy-percent"), percent(copy.share));
  text($("copy-rows"), `${count(copy.copied)} of about ${count(copy.expected)} rows`);
  text($("copy-tables"), `${count(copy.done)} of ${plural(copy.tables, "table")} done`);
  text($("copy-rate"), rate(model.totals(status).copyRate).replace("/s", " rows/s"));
  text($("copy-eta"), copy.eta === null ? "time left not known yet" : `about ${about(copy.eta)} left`);
}

function renderVerification({ verification }) {
  const { running, last: asked, background } = verification ?? {};
  // at somebody's request or in the background: the newer one counts
  const last = asked && background ? (asked.age_seconds <= background.age_seconds ? asked : background) : asked ?? background;
  show($("verification"), Boolean(running || last));
  tone($("verification"), last && !last.equal ? "warn" : "idle");
  text($("verification-last"), last ? `Last (${last.kind}), ${about(last.age_seconds)} ago: ${last.verdict}.` : "");
  show($("verification-running"), Boolean(running));
  if (!running) return;
  const share = running.rows > 0 ? Math.min(1, running.rows_done / running.rows) : 0;
  const left = running.remaining_seconds === null ? "" : `, about ${about(running.remaining_seconds)} left`;
  $("verification-running").firstElementChild.value = share;
  text($("verification-running").lastElementChild, `Under way (${running.kind}): ${percent(share)} of ${count(running.rows)} rows, now ${running.table}${left}.`);
}
