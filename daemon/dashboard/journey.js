// The way of a migration: its phases with their times, and the states the daemon has been in. No DOM in here.

import { copyDone, stateTone, stateWord } from "./model.js";

const TRACK = ["preflight", "snapshot", "catch_up", "streaming", "cutting_over", "cut_over", "finished"];
const TRACK_BACK = ["streaming", "cutting_over", "cut_over", "reversing", "rolled_back"];
const STEP_NAMES = {
  preflight: "Preflight", snapshot: "Snapshot", catch_up: "Catch-up", streaming: "Streaming",
  cutting_over: "Cutover", cut_over: "PostgreSQL", finished: "Finished", reversing: "Rollback",
  rolled_back: "SQLite again",
};

// which phases lie behind, which is on, which are to come; each with its latest time if the daemon has seen it
export function journey(status, now) {
  const back = ["reversing", "rolled_back"].includes(status.state);
  const track = back ? TRACK_BACK : TRACK;
  const at = track.indexOf(track.includes(status.state) ? status.state : reached(status));
  const seen = new Map(timeline(status, now).map((entry) => [entry.state, entry]));
  return track.map((state, i) => ({
    name: STEP_NAMES[state],
    mark: i < at || status.state === "finished" ? "done" : i > at ? "open" : status.state === track[i] ? "current" : "halted",
    entry: i <= at ? seen.get(state) : undefined,
  }));
}

// a paused or failed run does not say in which phase it was: the tables do
function reached(status) {
  const tables = status.sources.flatMap((source) => source.tables);
  if (status.state === "new" || !tables.length) return "";
  if (status.cutover?.outcome === "cut_over" && status.rollback?.outcome !== "rolled_back") return "cut_over";
  if (tables.some((table) => !copyDone(table))) return "snapshot";
  return tables.every((table) => ["streaming", "repairing"].includes(table.state)) ? "streaming" : "catch_up";
}

// the states in their order, each with when it began and for how long it lasted, in seconds
export function timeline(status, now) {
  const entered = (status.timeline ?? []).map(({ state, entered_at }) => ({ state, at: Date.parse(entered_at) / 1000 }));
  return entered.map(({ state, at }, i) => ({
    state, at, word: stateWord(state), tone: stateTone(state), last: i === entered.length - 1,
    lasted: Math.max(0, (entered[i + 1]?.at ?? now) - at),
  }));
}
