// One panel per source: its figures and its tables.

import { element, list, show, text, tone } from "./dom.js";
import { DASH, about, bytes, compact, count, duration, known, plural, rate } from "./format.js";
import * as model from "./model.js";
import { Tables } from "./tables.js";

export class SourcePanel {
  constructor(status) {
    this.node = document.getElementById("source-template").content.firstElementChild.cloneNode(true);
    this.find = (selector) => this.node.querySelector(selector);
    this.tables = new Tables(this.find("details"));
    this.find("details").open = status.sources.length <= 2 || status.state === "snapshot";
  }

  render(source, many) {
    const name = model.fileName(source.path);
    this.node.setAttribute("aria-label", `Source ${name}`);
    text(this.find(".folder"), source.path.slice(0, -name.length));
    text(this.find(".file"), name);
    text(this.find(".schema"), source.schema);
    text(this.find(".pill"), model.stateWord(source.state) + (source.target_connected === false ? ", target away" : ""));
    tone(this.find(".pill"), source.target_connected === false ? "bad" : model.stateTone(source.state));
    list(this.find(".facts"), facts(source, many), ([label]) => label, factNode, updateFact);
    this.tables.render(source, name);
  }
}

function facts(source, many) {
  const lag = many
    ? [
        ["Pending changes", compact(source.pending_changes)], ["Oldest unapplied", duration(source.oldest_unapplied_seconds)],
        ["Heartbeat age", duration(source.heartbeat_age_seconds)], ["Catch-up", about(source.estimated_catch_up_seconds)],
      ]
    : [];
  const back = many && source.fallback ? [["To bring back", compact(source.fallback.pending_changes)]] : [];
  return [
    ...lag, ...back,
    ["PostgreSQL", either(source.target_connected, "connected", "not reachable"), source.target_connected === false ? "bad" : ""],
    ["Consistent", either(source.consistent, "yes", "not yet")],
    ["Last verified", verified(source), source.verification_equal === false ? "bad" : ""],
    ["In quarantine", plural(source.quarantined ?? 0, "row"), source.quarantined ? "warn" : ""],
    ["Changes applied", compact(source.changes_applied)],
    ["Apply rate", rate(source.apply_rate)],
    ["Rows copied", compact(source.rows_copied)],
    ["Rows repaired", compact(source.repaired_rows)],
    ["Retries", count(source.retries)],
    ["Change log", plural(source.log_entries, "entry", "entries")],
    ["SQLite file", bytes(source.source_bytes)],
    ["Journal", source.journal_mode === "wal" ? `WAL, ${bytes(source.wal_bytes)}` : source.journal_mode || DASH],
    ["Disk free", bytes(source.disk_free_bytes), source.disk_low ? "bad" : ""],
  ];
}

function verified(source) {
  if (!known(source.verification_age_seconds)) return DASH;
  return `${about(source.verification_age_seconds)} ago${source.verification_equal === false ? ", different" : ""}`;
}

function either(value, yes, no) {
  return value === true ? yes : value === false ? no : DASH;
}

function factNode([label]) {
  const node = element("div");
  node.append(element("dt", "", label), element("dd"));
  return node;
}

function updateFact(node, [, value, level = ""]) {
  text(node.lastChild, value);
  tone(node, level);
}
