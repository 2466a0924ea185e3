// Writes the status into the page: all but the panels of the sources.

import { $, element, icon, list, prose, show, text, tone } from "./dom.js";
import { about, clock, compact, count, duration, known, moment, percent, plural, rate, sentence } from "./format.js";
import * as model from "./model.js";
import { SourcePanel } from "./sources.js";

const MAX_EVENTS = 60;
const UNKNOWN = "not known yet";
const OUTCOMES = {
  cut_over: ["Cutover done", "ok"], rehearsed: ["Cutover rehearsed", "ok"],
  refused: ["Cutover refused", "warn"], failed: ["Cutover failed", "bad"],
};

export class View {
  #pace = new model.CopyPace();
  #sources = new Map();
  #last = null;

  // at: the daemon's clock, in epoch seconds
  render(status, at) {
    this.#pace.note(at, status.sources);
    const said = model.summary(status);
    document.body.removeAttribute("data-waiting");
    document.title = title(status, said);
    text($("version"), status.version ?? "");
    text($("uptime"), status.started_at ? `up ${uptime(at - Date.parse(status.started_at) / 1000)}` : "");
    renderState(status, said);
    renderReadiness(status);
    renderProblems(status);
    renderCutover(status);
    renderCopy(status);
    renderTiles(status);
    this.#renderSources(status);
    this.#notice(status, said, at);
    this.#last = status;
  }

  #renderSources(status) {
    const create = (source) => {
      const panel = new SourcePanel(status, this.#pace);
      this.#sources.set(source.path, panel);
      return panel.node;
    };
    list($("sources"), status.sources, (source) => source.path, create, (_, source) => {
      this.#sources.get(source.path).render(source, status.sources.length > 1);
    });
  }

  #notice(status, said, at) {
    const news = this.#last === null ? [[said.tone, `Page opened. State: ${said.word}.`]] : changes(this.#last, status);
    for (const [level, line] of news) addEvent(at, level, line);
    if (this.#last !== null && news.length) text($("announce"), news.map(([, line]) => line).join(" "));
  }
}

function title(status, said) {
  const total = model.totals(status);
  if (status.state === "snapshot") return `${percent(model.copyProgress(status.sources).share)} copied · liteferry`;
  return `${said.word}${total.pending ? ` · ${compact(total.pending)} pending` : ""} · liteferry`;
}

function uptime(seconds) {
  return duration(seconds < 60 ? Math.max(1, Math.floor(seconds)) : Math.floor(seconds / 60) * 60);
}

function renderState(status, said) {
  tone($("state"), said.tone);
  icon("state-icon", said.tone);
  text($("state-word"), said.word);
  text($("headline"), said.text);
  const marks = { done: "done", current: "now", halted: "stopped here", open: "to come" };
  const create = (step) => {
    const item = element("li");
    item.append(element("span", "step", step.name), element("span", "sr"));
    return item;
  };
  list($("journey"), model.journey(status), (step) => step.name, create, (item, step) => {
    item.dataset.mark = step.mark;
    text(item.lastChild, `, ${marks[step.mark]}`);
    if (["current", "halted"].includes(step.mark)) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
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
  text($("readiness-word"), ready.word);
  prose($("readiness-note"), ready.note);
  list($("reasons"), numbered(ready.reasons), ({ key }) => key, ({ item }) => element("li", "", item), () => {});
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
    text(line.firstChild, item.tone === "bad" ? "Error" : "Warning");
    text(line.lastChild, item.text);
  });
}

function renderCutover({ cutover }) {
  show($("cutover"), Boolean(cutover));
  if (!cutover) return;
  const [heading, level] = OUTCOMES[cutover.outcome] ?? ["Cutover under way", "busy"];
  tone($("cutover"), level);
  text($("cutover-label"), heading);
  const at = cutover.finished_at ? `${moment(Date.parse(cutover.finished_at) / 1000)}. ` : "";
  const pause = known(cutover.pause_seconds) ? `Writers waited for ${duration(cutover.pause_seconds)}. ` : "";
  text($("cutover-note"), (at + pause + (cutover.reason ? sentence(cutover.reason) : "")).trim());
  const phases = (cutover.phases ?? []).map((phase, i) => ({ ...phase, key: `${i}` }));
  const whole = phases.reduce((all, phase) => all + phase.seconds, 0);
  list($("phasebar"), phases, (phase) => phase.key, () => element("span"), (node, phase) => {
    node.style.flexGrow = String((100 * phase.seconds) / whole || 1);
  });
  const create = () => {
    const item = element("li");
    item.append(element("span"), " ", element("b"));
    return item;
  };
  list($("phases"), phases, (phase) => phase.key, create, (item, phase) => {
    text(item.firstChild, phase.name.replaceAll("_", " "));
    text(item.lastChild, duration(phase.seconds));
  });
}

function renderCopy(status) {
  const copy = model.copyProgress(status.sources);
  show($("copy"), !copy.complete && !["new", "preflight"].includes(status.state));
  $("copy-bar").value = copy.share ?? 0;
  text($("copy-percent"), percent(copy.share));
  text($("copy-rows"), `${count(copy.copied)} of about ${count(copy.expected)} rows`);
  text($("copy-tables"), `${count(copy.done)} of ${plural(copy.tables, "table")} done`);
  text($("copy-rate"), rate(model.totals(status).copyRate).replace("/s", " rows/s"));
  text($("copy-eta"), copy.eta === null ? "time left not known yet" : `about ${about(copy.eta)} left`);
}

function renderTiles(status) {
  for (const [name, tile] of Object.entries(tiles(status))) {
    const node = $("tiles").querySelector(`[data-tile=${name}]`);
    tone(node, tile.tone ?? "idle");
    text(node.querySelector("dt"), tile.label ?? node.querySelector("dt").textContent);
    text(node.querySelector(".value"), tile.value);
    text(node.querySelector(".note"), tile.note);
  }
}

function tiles(status) {
  const total = model.totals(status);
  const tones = model.lagTones(status);
  const copying = status.state === "snapshot";
  const from = status.sources.length > 1 ? `highest of ${plural(status.sources.length, "source")}` : "";
  const paused = status.cutover?.outcome === "cut_over" ? status.cutover.pause_seconds : null;
  return {
    pending: {
      value: compact(total.pending),
      note: !known(total.pending) ? UNKNOWN : total.pending === 0 ? "everything is applied" : copying ? "applied after the copy" : "waiting in the change log",
    },
    oldest: {
      value: duration(total.oldest), tone: tones.oldest,
      note: !known(total.oldest) ? UNKNOWN : tones.oldest !== "idle" ? "behind" : total.pending === 0 ? "nothing is waiting" : from || "age of the oldest change",
    },
    heartbeat: {
      value: duration(total.heartbeat), tone: tones.heartbeat,
      note: total.heartbeat === null ? "none has arrived yet" : tones.heartbeat !== "idle" ? "overdue" : from || "since the last full trip",
    },
    catchup: {
      value: about(total.catchUp),
      note: total.catchUp === null ? UNKNOWN : `at ${rate(total.applyRate).replace("/s", " changes/s")}`,
    },
    pause: known(paused)
      ? { label: "Cutover pause", value: duration(paused), note: "as measured" }
      : { label: "Predicted pause", value: duration(status.predicted_pause_seconds), note: known(status.predicted_pause_seconds) ? "of the writers at cutover" : UNKNOWN },
  };
}

// what happened between two statuses, as [tone, sentence]
function changes(before, after) {
  const news = [];
  if (before.state !== after.state) news.push([model.stateTone(after.state), `State: ${model.stateWord(after.state)}.`]);
  if (before.can_cutover !== after.can_cutover && !["cutting_over", "cut_over", "finished"].includes(after.state)) {
    news.push(after.can_cutover ? ["ok", "Ready for cutover."] : ["idle", "No longer ready for cutover."]);
  }
  if (after.cutover && before.cutover?.finished_at !== after.cutover.finished_at) {
    const [heading, level] = OUTCOMES[after.cutover.outcome] ?? ["Cutover under way", "busy"];
    news.push([level, `${heading}${after.cutover.reason ? `: ${after.cutover.reason}` : ""}.`]);
  }
  for (const source of after.sources) {
    news.push(...sourceChanges(before.sources.find(({ path }) => path === source.path), source, after.sources.length > 1));
  }
  return news;
}

function sourceChanges(before, after, many) {
  if (!before) return [];
  const name = model.fileName(after.path);
  const news = [];
  if (many && before.state !== after.state) news.push([model.stateTone(after.state), `${name}: ${model.stateWord(after.state)}.`]);
  if (before.target_connected !== after.target_connected) {
    news.push(after.target_connected ? ["ok", `${name}: PostgreSQL is reachable again.`] : ["bad", `${name}: PostgreSQL cannot be reached.`]);
  }
  if (after.error && before.error !== after.error) news.push(["warn", `${name}: ${sentence(after.error)}`]);
  const old = new Map(before.tables.map((table) => [table.name, table.state]));
  for (const table of after.tables) {
    if (old.get(table.name) === "copying" && model.copyDone(table)) {
      news.push(["ok", `${name}: ${table.name} copied, ${plural(table.rows_copied, "row")}.`]);
    }
  }
  return news;
}

export function addEvent(at, level, line) {
  const item = element("li");
  item.dataset.tone = level;
  const time = element("time", "", clock(at));
  time.dateTime = new Date(at * 1000).toISOString();
  item.append(time, " ", element("span", "", line));
  $("events").prepend(item);
  while ($("events").children.length > MAX_EVENTS) $("events").lastChild.remove();
}
