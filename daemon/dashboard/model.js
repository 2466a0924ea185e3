// What the status means: totals, tones, sentences. No DOM in here.

import { about, bytes, count, duration, known, plural, sentence } from "./format.js";

// seconds; the daemon writes a heartbeat every few seconds, so one of 30 has missed several
const OLDEST_WARN = 10;
const OLDEST_BAD = 60;
const HEARTBEAT_WARN = 30;
const HEARTBEAT_BAD = 120;
const DISK_WARN_BYTES = 2 ** 30;

const WORDS = {
  new: "New", preflight: "Preflight", snapshot: "Snapshot", catch_up: "Catching up", streaming: "Streaming",
  cutting_over: "Cutting over", cut_over: "Cut over", reversing: "Rolling back", rolled_back: "Rolled back",
  finished: "Finished", paused: "Paused", failed: "Failed",
};
const TONES = {
  new: "idle", preflight: "busy", snapshot: "busy", catch_up: "busy", streaming: "ok", cutting_over: "warn",
  cut_over: "ok", reversing: "warn", rolled_back: "idle", finished: "ok", paused: "warn", failed: "bad",
};
const TRACK = ["preflight", "snapshot", "catch_up", "streaming", "cutting_over", "cut_over", "finished"];
const TRACK_BACK = ["streaming", "cutting_over", "cut_over", "reversing", "rolled_back"];
const STEP_NAMES = {
  preflight: "Preflight", snapshot: "Snapshot", catch_up: "Catch-up", streaming: "Streaming",
  cutting_over: "Cutover", cut_over: "PostgreSQL", finished: "Finished", reversing: "Rollback",
  rolled_back: "SQLite again",
};
const SEVERITY = ["idle", "ok", "busy", "warn", "bad"];
const STEADY = new Set(["streaming", "cutting_over"]); // before, a lag is the plan and no trouble
const COPY_DONE = new Set(["copied", "streaming"]);

export const worst = (...tones) => tones.reduce((a, b) => (SEVERITY.indexOf(b) > SEVERITY.indexOf(a) ? b : a));
export const stateWord = (state) => WORDS[state] ?? sentence(state.replaceAll("_", " ")).slice(0, -1);
export const stateTone = (state) => TONES[state] ?? "idle";
export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);

// of nothing known there is no sum: a zero would claim that nothing is pending
const sum = (values) => (values.some(known) ? values.filter(known).reduce((a, b) => a + b, 0) : null);
const highest = (values) => (values.some(known) ? Math.max(...values.filter(known)) : null);

export function totals(status) {
  const of = (field) => status.sources.map((source) => source[field]);
  return {
    pending: sum(of("pending_changes")),
    oldest: highest(of("oldest_unapplied_seconds")),
    heartbeat: highest(of("heartbeat_age_seconds")),
    catchUp: highest(of("estimated_catch_up_seconds")),
    applied: sum(of("changes_applied")),
    applyRate: sum(of("apply_rate")),
    copyRate: sum(of("copy_rate")),
  };
}

export function lagTones(status) {
  const { oldest, heartbeat } = totals(status);
  if (!STEADY.has(status.state)) return { oldest: "idle", heartbeat: "idle" };
  return {
    oldest: oldest >= OLDEST_BAD ? "bad" : oldest >= OLDEST_WARN ? "warn" : "idle",
    heartbeat: heartbeat >= HEARTBEAT_BAD ? "bad" : heartbeat >= HEARTBEAT_WARN ? "warn" : "idle",
  };
}

export function copyProgress(sources) {
  const tables = sources.flatMap((source) => source.tables);
  const done = tables.filter((table) => COPY_DONE.has(table.state)).length;
  const copied = sum(tables.map((table) => table.rows_copied));
  const expected = sum(tables.map(expectedRows));
  const open = expected - copied;
  const pace = sum(sources.map((source) => source.copy_rate));
  return {
    tables: tables.length, done, copied, expected,
    share: done === tables.length ? 1 : expected > 0 ? Math.min(copied / expected, 0.999) : null,
    eta: pace > 0 && open > 0 ? open / pace : null,
    complete: done === tables.length,
  };
}

// the estimate can be too low, and is beside the point once the table is copied
export function expectedRows(table) {
  return COPY_DONE.has(table.state) ? table.rows_copied : Math.max(table.rows_estimate ?? 0, table.rows_copied);
}

export const copyDone = (table) => COPY_DONE.has(table.state);

export function problems(status) {
  return status.sources.flatMap((source) => {
    const name = status.sources.length > 1 ? `${fileName(source.path)}: ` : "";
    return sourceProblems(source).map(({ tone, text }) => ({ tone, text: name + text }));
  });
}

function sourceProblems(source) {
  const found = [];
  const add = (tone, text) => found.push({ tone, text });
  const error = source.error ? sentence(source.error) : "";
  if (source.state === "failed") add("bad", error || "This source failed.");
  else if (source.target_connected === false) add("bad", `PostgreSQL cannot be reached. ${error}`.trim());
  else if (error) add("warn", error);
  if (source.consistent === false && ["streaming", "cut_over"].includes(source.state)) {
    add("warn", "The target is between two states of the source until the backlog is applied.");
  }
  if (known(source.disk_free_bytes) && source.disk_free_bytes < DISK_WARN_BYTES) {
    add("warn", `Only ${bytes(source.disk_free_bytes)} free on the disk of the SQLite file.`);
  }
  return found;
}

export function targetAway(status) {
  return status.sources.some((source) => source.target_connected === false);
}

// the one line that answers "how is it going?": word, tone, sentence
export function summary(status) {
  const tones = lagTones(status);
  const lag = worst(tones.oldest, tones.heartbeat);
  const found = problems(status).map((problem) => problem.tone);
  let word = stateWord(status.state);
  if (status.state === "streaming") {
    if (targetAway(status)) word += ", target away";
    else if (lag !== "idle") word += ", behind";
  }
  return { word, tone: worst(stateTone(status.state), lag, ...found), text: headline(status, lag !== "idle") };
}

function headline(status, lagging) {
  const total = totals(status);
  switch (status.state) {
    case "new": return "Nothing has been started yet.";
    case "preflight": return "Checking the sources and the target before anything is changed.";
    case "snapshot": return snapshotLine(status);
    case "catch_up": return `The copy is complete. Changes made meanwhile are being applied: ${count(total.pending)} to go.`;
    case "streaming": return streamingLine(status, total, lagging);
    case "cutting_over": return "The application's writes wait while the last changes move to PostgreSQL.";
    case "cut_over": return "PostgreSQL takes the writes; SQLite is closed for them. Rollback is possible until the migration is finished.";
    case "reversing": return "What PostgreSQL has taken since the cutover is being written back to SQLite.";
    case "rolled_back": return "SQLite takes the writes again. Another cutover needs no new copy.";
    case "finished": return "The migration is complete.";
    case "paused": return "Paused. Changes are kept in the source and follow when resumed.";
    case "failed": return "The migration stopped and needs you. SQLite serves the application as before, unless a cutover was under way.";
    default: return "";
  }
}

function snapshotLine(status) {
  const copy = copyProgress(status.sources);
  const left = copy.eta === null ? "" : `, about ${about(copy.eta)} left`;
  return `${count(copy.done)} of ${plural(copy.tables, "table")} copied${left}. The application keeps writing to SQLite.`;
}

function streamingLine(status, total, lagging) {
  if (targetAway(status)) return "Changes are kept in the source's change log and follow when PostgreSQL is back.";
  if (!lagging) return total.pending === 0 ? "PostgreSQL has every change." : "Changes reach PostgreSQL as they are made.";
  const behind = total.oldest >= OLDEST_WARN ? `PostgreSQL is ${duration(total.oldest)} behind` : `No heartbeat has arrived for ${duration(total.heartbeat)}`;
  const left = known(total.catchUp) && total.pending ? `; about ${about(total.catchUp)} to catch up` : "";
  return `${behind}${left}.`;
}

// which phases lie behind, which is on, which are to come
export function journey(status) {
  const back = ["reversing", "rolled_back"].includes(status.state);
  const track = back ? TRACK_BACK : TRACK;
  const at = track.indexOf(track.includes(status.state) ? status.state : reached(status));
  return track.map((state, i) => ({
    name: STEP_NAMES[state],
    mark: i < at || status.state === "finished" ? "done" : i > at ? "open" : status.state === track[i] ? "current" : "halted",
  }));
}

// a paused or failed run does not say in which phase it was: the tables do
function reached(status) {
  const tables = status.sources.flatMap((source) => source.tables);
  if (status.state === "new" || !tables.length) return "";
  if (status.cutover?.outcome === "cut_over") return "cut_over";
  if (tables.some((table) => !copyDone(table))) return "snapshot";
  return tables.every((table) => table.state === "streaming") ? "streaming" : "catch_up";
}

export function readiness(status) {
  const pause = status.predicted_pause_seconds;
  if (status.state === "finished") return { word: "Done", tone: "ok", note: "The application is on PostgreSQL.", reasons: [] };
  if (status.state === "cut_over") {
    const note = "`liteferry rollback` leads back to SQLite, `liteferry finish` ends the migration.";
    return { word: "Done", tone: "ok", note, reasons: [] };
  }
  if (status.can_cutover) {
    const wait = known(pause) ? `Writers would wait for about ${duration(pause)}. ` : "";
    return { word: "Ready for cutover", tone: "ok", note: `${wait}Run \`liteferry cutover\` to switch.`, reasons: [] };
  }
  const reasons = status.reasons.length ? status.reasons.map(sentence) : ["The daemon gives no reason."];
  return { word: "Not ready for cutover", tone: "idle", note: "", reasons };
}

// How fast each table is copied, as seen from here: the status has only a rate for the whole source.
export class CopyPace {
  #seen = new Map();

  note(at, sources) {
    for (const source of sources) {
      for (const table of source.tables) this.#noteTable(`${source.path}\n${table.name}`, at, table);
    }
  }

  #noteTable(key, at, table) {
    if (table.state !== "copying") {
      this.#seen.delete(key);
      return;
    }
    const samples = this.#seen.get(key) ?? [];
    samples.push([at, table.rows_copied]);
    while (samples[0][0] < at - 30) samples.shift();
    this.#seen.set(key, samples);
  }

  // seconds left for a table that is being copied, else null
  left(source, table) {
    if (table.state !== "copying") return null;
    const open = expectedRows(table) - table.rows_copied;
    const pace = this.#observed(`${source.path}\n${table.name}`) ?? this.#share(source);
    return pace > 0 && open > 0 ? open / pace : null;
  }

  #observed(key) {
    const samples = this.#seen.get(key) ?? [];
    if (samples.length < 2) return null;
    const [[from, before], [to, after]] = [samples[0], samples.at(-1)];
    return to - from >= 3 ? (after - before) / (to - from) : null;
  }

  #share(source) {
    return source.copy_rate / source.tables.filter((table) => table.state === "copying").length;
  }
}
