// The figures of the lag, of the stream or of the way back, each with a word on what it means.

import { $, element, list, text, tone } from "./dom.js";
import { about, compact, duration, known, plural, rate } from "./format.js";
import * as model from "./model.js";

const UNKNOWN = "not known yet";

export function renderTiles(status) {
  const back = model.mode(status) === "back";
  text($("lag-label"), back ? "The way back" : "Lag");
  const create = (tile) => {
    const node = element("div");
    node.dataset.tile = tile.key;
    node.append(element("dt"), element("dd", "value"), element("dd", "note"));
    return node;
  };
  list($("tiles"), back ? backTiles(status) : tiles(status), (tile) => tile.key, create, (node, tile) => {
    tone(node, tile.tone ?? "idle");
    text(node.children[0], tile.label);
    text(node.children[1], tile.value);
    text(node.children[2], tile.note);
  });
}

function tiles(status) {
  const total = model.totals(status);
  const tones = model.lagTones(status);
  const copying = status.state === "snapshot";
  const from = status.sources.length > 1 ? `highest of ${plural(status.sources.length, "source")}` : "";
  const pause = status.predicted_pause_seconds;
  return [
    {
      key: "pending", label: "Pending changes", value: compact(total.pending),
      note: !known(total.pending) ? UNKNOWN : total.pending === 0 ? "everything is applied" : copying ? "applied after the copy" : "waiting in the change log",
    },
    {
      key: "oldest", label: "Oldest unapplied", value: duration(total.oldest), tone: tones.oldest,
      note: !known(total.oldest) ? UNKNOWN : tones.oldest !== "idle" ? "behind" : total.pending === 0 ? "nothing is waiting" : from || "age of the oldest change",
    },
    {
      key: "heartbeat", label: "Heartbeat age", value: duration(total.heartbeat), tone: tones.heartbeat,
      note: total.heartbeat === null ? "none has arrived yet" : tones.heartbeat !== "idle" ? "overdue" : from || "since the last full trip",
    },
    {
      key: "catchup", label: "Catch-up", value: about(total.catchUp),
      note: total.catchUp === null ? UNKNOWN : "until nothing is pending",
    },
    { key: "in", label: "Captured", value: rate(total.captureRate), note: "changes in SQLite" },
    { key: "out", label: "Applied", value: rate(total.applyRate), note: "changes to PostgreSQL" },
    {
      key: "quarantined", label: "In quarantine", value: compact(total.quarantined), tone: total.quarantined ? "warn" : "idle",
      note: total.quarantined ? "rows block the cutover" : "no row is kept aside",
    },
    {
      key: "pause", label: "Predicted pause", value: duration(pause),
      note: known(pause) ? "of the writers at cutover" : UNKNOWN,
    },
  ];
}

function backTiles(status) {
  const total = model.totals(status);
  const armed = known(total.backPending);
  const pause = status.cutover?.outcome === "cut_over" ? status.cutover.pause_seconds : null;
  return [
    {
      key: "back-pending", label: "To bring back", value: compact(total.backPending),
      note: !armed ? "no way back is armed" : total.backPending === 0 ? "SQLite has every change" : "changes of PostgreSQL",
    },
    {
      key: "back-oldest", label: "Oldest of them", value: duration(total.backOldest),
      note: !armed ? "" : total.backPending === 0 ? "nothing is waiting" : "waits for SQLite",
    },
    { key: "back-applied", label: "Brought back", value: compact(total.backApplied), note: armed ? "since the daemon started" : "" },
    {
      key: "back-quarantined", label: "In quarantine", value: compact(total.backQuarantined),
      tone: total.backQuarantined ? "warn" : "idle", note: armed ? "rows that SQLite cannot hold" : "",
    },
    { key: "pause", label: "Cutover pause", value: duration(pause), note: known(pause) ? "as measured" : UNKNOWN },
  ];
}
