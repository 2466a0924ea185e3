// What the status means: totals, tones, sentences. No DOM in here.

import { about, bytes, compact, count, duration, known, percent, plural, sentence } from "./format.js";

// seconds; the daemon writes a heartbeat every few seconds, so one of 30 has missed several
const OLDEST_WARN = 10;
const OLDEST_BAD = 60;
const HEARTBEAT_WARN = 30;
const HEARTBEAT_BAD = 120;
const DISK_WARN_BYTES = 2 ** 30;
const MANY_NOTICES = 6;

const WORDS = {
  new: "New", preflight: "Preflight", snapshot: "Snapshot", catch_up: "Catching up", streaming: "Streaming",
  cutting_over: "Cutting over", cut_over: "Cut over", reversing: "Rolling back", rolled_back: "Rolled back",
  finished: "Finished", paused: "Paused", failed: "Failed",
};
const TONES = {
  new: "idle", preflight: "busy", snapshot: "busy", catch_up: "busy", streaming: "ok", cutting_over: "warn",
  cut_over: "ok", reversing: "warn", rolled_back: "idle", finished: "ok", paused: "warn", failed: "bad",
};
const SEVERITY = ["idle", "ok", "busy", "warn", "bad"];
const STEADY = new Set(["streaming", "cutting_over"]); // before, a lag is the plan and no trouble
const COPY_DONE = new Set(["copied", "streaming"]);
const MOVED = new Set(["cut_over", "reversing", "finished"]);
const THROTTLED_BY = {
  operator: "set by the operator", source_wal: "SQLite's WAL grows", write_latency: "the application's writes slow down",
  disk: "the disk of the SQLite file fills up",
};

export const worst = (...tones) => tones.reduce((a, b) => (SEVERITY.indexOf(b) > SEVERITY.indexOf(a) ? b : a));
export const stateWord = (state) => WORDS[state] ?? sentence(state.replaceAll("_", " ")).slice(0, -1);
export const stateTone = (state) => TONES[state] ?? "idle";
export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);
export const copyDone = (table) => COPY_DONE.has(table.state) || table.state === "repairing";

// which lag is the one to look at: of the copy, of the stream, or of the way back
export function mode(status) {
  if (MOVED.has(status.state)) return "back";
  return status.state === "snapshot" ? "copy" : "stream";
}

// of nothing known there is no sum: a zero would claim that nothing is pending
const sum = (values) => (values.some(known) ? values.filter(known).reduce((a, b) => a + b, 0) : null);
const highest = (values) => (values.some(known) ? Math.max(...values.filter(known)) : null);

export function totals(status) {
  const of = (field) => status.sources.map((source) => source[field]);
  const back = (field) => status.sources.map((source) => source.fallback?.[field]);
  return {
    pending: sum(of("pending_changes")),
    oldest: highest(of("oldest_unapplied_seconds")),
    heartbeat: highest(of("heartbeat_age_seconds")),
    catchUp: highest(of("estimated_catch_up_seconds")),
    captured: sum(of("changes_captured")),
    applied: sum(of("changes_applied")),
    captureRate: sum(of("capture_rate")),
    applyRate: sum(of("apply_rate")),
    copied: sum(of("rows_copied")),
    copyRate: sum(of("copy_rate")),
    copyLeft: highest(of("copy_remaining_seconds")),
    quarantined: sum(of("quarantined")),
    backPending: sum(back("pending_changes")),
    backOldest: highest(back("oldest_unapplied_seconds")),
    backApplied: sum(back("changes_applied")),
    backQuarantined: sum(back("quarantined")),
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

export function copyProgress(status) {
  const tables = status.sources.flatMap((source) => source.tables);
  const done = tables.filter(copyDone).length;
  const copied = sum(tables.map((table) => table.rows_copied));
  const expected = sum(tables.map(expectedRows));
  const complete = done === tables.length;
  return {
    tables: tables.length, done, copied, expected, complete,
    share: complete ? 1 : expected > 0 ? Math.min(copied / expected, 0.999) : null,
    eta: complete ? null : totals(status).copyLeft || null,
  };
}

// the estimate can be too low, and is beside the point once the table is copied
export function expectedRows(table) {
  return copyDone(table) ? table.rows_copied : Math.max(table.rows_estimate ?? 0, table.rows_copied);
}

// what needs a look, the worst first: errors, warnings, what holds back, notices
export function problems(status) {
  const found = status.sources.flatMap((source) => {
    const name = status.sources.length > 1 ? `${fileName(source.path)}: ` : "";
    return sourceProblems(source).map((problem) => ({ ...problem, text: name + problem.text }));
  });
  if (status.stalled) found.push({ tone: "bad", label: "Error", text: `The daemon is stuck: ${sentence(status.stalled)}` });
  if (status.throttle?.active) found.push({ tone: "busy", label: "Throttled", text: throttleLine(status.throttle) });
  const notices = (status.notices ?? []).map((text) => ({ tone: "idle", label: "Notice", text: sentence(text) }));
  found.push(...notices.slice(0, MANY_NOTICES));
  if (notices.length > MANY_NOTICES) {
    found.push({ tone: "idle", label: "Notice", text: `And ${notices.length - MANY_NOTICES} more: see liteferry status.` });
  }
  return found.sort((a, b) => SEVERITY.indexOf(b.tone) - SEVERITY.indexOf(a.tone));
}

function sourceProblems(source) {
  const found = [];
  const add = (tone, text) => found.push({ tone, label: tone === "bad" ? "Error" : "Warning", text });
  const error = source.error ? sentence(source.error) : "";
  if (source.state === "failed") add("bad", error || "This source failed.");
  else if (source.target_connected === false) add("bad", `PostgreSQL cannot be reached. ${error}`.trim());
  else if (source.missing) add("bad", error || "The SQLite file is not under its name.");
  else if (error) add("warn", error);
  if (source.consistent === false && ["streaming", "cut_over"].includes(source.state)) {
    add("warn", "The target is between two states of the source until the backlog is applied.");
  }
  if (source.quarantined) add("warn", `${plural(source.quarantined, "row")} in quarantine: values that PostgreSQL cannot hold.`);
  if (source.stale_tables) add("warn", `${plural(source.stale_tables, "table")} may lack changes and ${source.stale_tables === 1 ? "is" : "are"} read again.`);
  if (source.verification_equal === false) add("warn", "The last verification found differences.");
  if (source.fallback?.error) add("bad", `Nothing can be brought back to SQLite. ${sentence(source.fallback.error)}`);
  if (source.fallback?.quarantined) add("warn", `${plural(source.fallback.quarantined, "row")} of PostgreSQL cannot be held by SQLite.`);
  if (known(source.disk_free_bytes) && source.disk_free_bytes > 0 && source.disk_free_bytes < DISK_WARN_BYTES) {
    add("warn", `Only ${bytes(source.disk_free_bytes)} free on the disk of the SQLite file.`);
  }
  return found;
}

// the stream itself is never held back
function throttleLine(throttle) {
  const limit = known(throttle.limit_rows_per_second) ? [`${count(throttle.limit_rows_per_second)} rows/s`] : [];
  const share = known(throttle.factor) && throttle.factor < 1 ? [`${percent(throttle.factor)} of full speed`] : [];
  const why = throttle.reason ?? THROTTLED_BY[throttle.by] ?? "";
  const most = [...limit, ...share].join(" and ");
  return sentence(`Copying and comparing are held back${most && ` to ${most}`}${why && `: ${why}`}`);
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
  if (status.state === "snapshot" && status.throttle?.active) word += ", throttled";
  return { word, tone: worst(stateTone(status.state), lag, ...found), text: headline(status, lag !== "idle") };
}

// the one number that matters now, large enough for the other end of the room
export function figure(status) {
  const total = totals(status);
  switch (mode(status)) {
    case "copy": return { number: percent(copyProgress(status).share), unit: "of the rows copied" };
    case "back":
      if (status.state === "finished") return { number: "", unit: "" };
      return { number: compact(total.backPending), unit: "changes to bring back" };
    default:
      if (["new", "preflight", "failed"].includes(status.state)) return { number: "", unit: "" };
      if (status.state === "catch_up") return { number: compact(total.pending), unit: "changes to go" };
      return { number: duration(total.oldest), unit: "behind" };
  }
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
  const copy = copyProgress(status);
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

export function readiness(status) {
  if (status.state === "finished") return { title: "Cutover", word: "Done", tone: "ok", note: "The application is on PostgreSQL.", reasons: [] };
  if (["cut_over", "reversing"].includes(status.state)) return rollbackReadiness(status);
  const pause = status.predicted_pause_seconds;
  if (status.can_cutover) {
    const wait = known(pause) ? `Writers would wait for about ${duration(pause)}. ` : "";
    return { title: "Cutover", word: "Ready for cutover", tone: "ok", note: `${wait}Run \`liteferry cutover\` to switch.`, reasons: [] };
  }
  const reasons = status.reasons.length ? status.reasons.map(sentence) : ["The daemon gives no reason."];
  return { title: "Cutover", word: "Not ready for cutover", tone: "idle", note: "", reasons };
}

function rollbackReadiness(status) {
  if (status.can_rollback) {
    const note = "`liteferry rollback` leads back to SQLite with every write, `liteferry finish` ends the migration.";
    return { title: "Rollback", word: "Ready for rollback", tone: "ok", note, reasons: [] };
  }
  const reasons = (status.rollback_reasons ?? []).map(sentence);
  return { title: "Rollback", word: "Not ready for rollback", tone: status.state === "reversing" ? "idle" : "warn", note: "", reasons };
}
