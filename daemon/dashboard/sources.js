// One panel per source: its figures, and its tables with search and order.

import { element, list, show, text, tone } from "./dom.js";
import { DASH, about, bytes, compact, count, duration, known, plural, rate } from "./format.js";
import * as model from "./model.js";

const MANY_TABLES = 12; // from here on a field to find a table is offered
const ORDER = { repairing: -1, copying: 0, pending: 1, copied: 2, streaming: 3 };

const template = (id) => document.getElementById(id);

export class SourcePanel {
  constructor(status, pace) {
    this.pace = pace;
    this.node = template("source-template").content.firstElementChild.cloneNode(true);
    this.find = (selector) => this.node.querySelector(selector);
    this.sort = { by: "state", down: false };
    const details = this.find("details");
    details.open = status.sources.length <= 2 || status.state === "snapshot";
    this.find("input").addEventListener("input", () => this.#renderTables());
    for (const button of this.node.querySelectorAll("[data-sort]")) {
      button.addEventListener("click", () => this.#sortBy(button.dataset.sort));
    }
  }

  render(source, many) {
    this.source = source;
    const name = model.fileName(source.path);
    this.node.setAttribute("aria-label", `Source ${name}`);
    text(this.find(".folder"), source.path.slice(0, -name.length));
    text(this.find(".file"), name);
    text(this.find(".schema"), source.schema);
    text(this.find(".pill"), model.stateWord(source.state) + (source.target_connected === false ? ", target away" : ""));
    tone(this.find(".pill"), source.target_connected === false ? "bad" : model.stateTone(source.state));
    list(this.find(".facts"), facts(source, many), ([label]) => label, factNode, updateFact);
    show(this.find("details"), source.tables.length > 0);
    text(this.find(".summary"), tableSummary(source.tables));
    text(this.find("caption"), `Tables of ${name}`);
    show(this.find(".filter"), source.tables.length > MANY_TABLES);
    this.#renderTables();
  }

  #sortBy(by) {
    this.sort = { by, down: this.sort.by === by ? !this.sort.down : ["rows", "changes"].includes(by) };
    this.#renderTables();
  }

  #renderTables() {
    const wanted = this.find("input").value.trim().toLowerCase();
    const tables = this.source.tables.filter((table) => table.name.toLowerCase().includes(wanted));
    list(this.find("tbody"), this.#sorted(tables), (table) => table.name, rowNode, (row, table) => this.#updateRow(row, table));
    this.find("table").toggleAttribute("data-copied", this.source.tables.every(model.copyDone));
    show(this.find(".none"), wanted !== "" && tables.length === 0);
    for (const button of this.node.querySelectorAll("[data-sort]")) {
      const heading = button.parentElement;
      if (button.dataset.sort === this.sort.by) heading.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    }
  }

  #sorted(tables) {
    const { by, down } = this.sort;
    const value = {
      name: () => 0, state: (table) => ORDER[table.state] ?? 9,
      rows: (table) => table.rows_copied, changes: (table) => table.changes_applied,
    }[by];
    const compared = (a, b) => value(a) - value(b);
    const named = (a, b) => a.name.localeCompare(b.name);
    const way = down ? -1 : 1;
    return tables.toSorted((a, b) => (by === "name" ? way * named(a, b) : way * compared(a, b) || named(a, b)));
  }

  #updateRow(row, table) {
    const part = (selector) => row.querySelector(selector);
    const expected = model.expectedRows(table);
    const done = model.copyDone(table);
    text(part(".name"), table.name);
    text(part(".target"), plainTarget(this.source, table) ? "" : `as ${table.target}`);
    text(part(".tstate"), table.state);
    part(".tstate").dataset.state = table.state;
    const bar = part("progress");
    show(bar, !done);
    bar.value = expected ? table.rows_copied / expected : 0;
    bar.setAttribute("aria-label", `${table.name} copied`);
    text(part(".rows span"), done ? count(table.rows_copied) : `${count(table.rows_copied)} of ${known(table.rows_estimate) ? count(expected) : DASH}`);
    text(part(".eta"), done ? "" : about(this.pace.left(this.source, table)));
    text(part(".changes"), count(table.changes_applied));
  }
}

function plainTarget(source, table) {
  return table.target.replaceAll('"', "") === `${source.schema}.${table.name}`;
}

function rowNode() {
  return template("row-template").content.firstElementChild.cloneNode(true);
}

function tableSummary(tables) {
  const counted = ["streaming", "copied", "copying", "pending", "repairing"].map((state) => [state, tables.filter((table) => table.state === state).length]).filter(([, n]) => n);
  if (counted.length === 1) return `${plural(tables.length, "table")}, ${tables.length > 1 ? "all " : ""}${counted[0][0]}`;
  return `${plural(tables.length, "table")}: ${counted.map(([state, n]) => `${count(n)} ${state}`).join(", ")}`;
}

function facts(source, many) {
  const lag = many
    ? [
        ["Pending changes", compact(source.pending_changes)], ["Oldest unapplied", duration(source.oldest_unapplied_seconds)],
        ["Heartbeat age", duration(source.heartbeat_age_seconds)], ["Catch-up", about(source.estimated_catch_up_seconds)],
      ]
    : [];
  return [
    ...lag,
    ["PostgreSQL", either(source.target_connected, "connected", "not reachable"), source.target_connected === false ? "bad" : ""],
    ["Consistent", either(source.consistent, "yes", "not yet")],
    ["Changes applied", compact(source.changes_applied)],
    ["Apply rate", rate(source.apply_rate)],
    ["Batches", compact(source.batches_applied)],
    ["Rows copied", compact(source.rows_copied)],
    ["Position", count(source.position)],
    ["Retries", count(source.retries)],
    ["Change log", plural(source.log_entries, "entry", "entries")],
    ["SQLite file", bytes(source.source_bytes)],
    ["Journal", source.journal_mode === "wal" ? `WAL, ${bytes(source.wal_bytes)}` : source.journal_mode ?? DASH],
    ["Disk free", bytes(source.disk_free_bytes)],
  ];
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
