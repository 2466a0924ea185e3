// The tables of a source, with search, choice and order. Made for hundreds: a row whose figures are the same as a
// second ago is not touched, and nothing is drawn while the list is closed.

import { list, show, text, tone } from "./dom.js";
import { DASH, about, count, known, percent, plural } from "./format.js";
import { copyDone, expectedRows } from "./model.js";

const MANY = 12; // from here on there are fields to find tables
const ORDER = { repairing: -1, copying: 0, pending: 1, copied: 2, streaming: 3 };
const DOWN_FIRST = new Set(["rows", "changes", "pending", "quarantined"]);
const MOVED = new Set(["cut_over", "reversing", "finished"]);
const NEVER = Number.MAX_VALUE; // a table that was never verified is the one verified longest ago

const VALUES = {
  name: () => 0,
  state: (table) => ORDER[table.state] ?? 9,
  rows: (table) => table.rows ?? table.rows_copied,
  pending: (table) => table.pending_changes ?? 0,
  changes: (table) => table.changes_applied,
  quarantined: (table) => table.quarantined ?? 0,
  verified: (table) => table.verification_age_seconds ?? NEVER,
};
const CHOICES = {
  all: () => true,
  busy: (table) => !["copied", "streaming"].includes(table.state),
  pending: (table) => table.pending_changes > 0,
  quarantined: (table) => table.quarantined > 0,
  unverified: (table) => table.verification_equal !== true,
};
const named = new Intl.Collator("en", { numeric: true }).compare;

export class Tables {
  #details;
  #find;
  #source = null;
  #sort = { by: "state", down: false };
  #rows = new WeakMap(); // row -> its parts, and what they show

  constructor(details) {
    this.#details = details;
    this.#find = (selector) => details.querySelector(selector);
    details.addEventListener("toggle", () => this.#draw());
    this.#find("input").addEventListener("input", () => this.#draw());
    this.#find("select").addEventListener("change", () => this.#draw());
    for (const button of details.querySelectorAll("[data-sort]")) {
      button.addEventListener("click", () => this.#sortBy(button.dataset.sort));
    }
  }

  render(source, name) {
    this.#source = source;
    show(this.#details, source.tables.length > 0);
    text(this.#find(".summary"), summary(source));
    text(this.#find("caption"), `Tables of ${name}`);
    this.#find(".scroll").setAttribute("aria-label", `Tables of ${name}`);
    show(this.#find(".filter"), source.tables.length > MANY);
    this.#details.classList.toggle("many", source.tables.length > MANY);
    this.#draw();
  }

  #sortBy(by) {
    this.#sort = { by, down: this.#sort.by === by ? !this.#sort.down : DOWN_FIRST.has(by) };
    this.#draw();
  }

  #draw() {
    if (!this.#source || !this.#details.open) return;
    const wanted = this.#find("input").value.trim().toLowerCase();
    const chosen = CHOICES[this.#find("select").value];
    const all = this.#source.tables;
    const tables = all.filter((table) => table.name.toLowerCase().includes(wanted) && chosen(table));
    const row = () => document.getElementById("row-template").content.firstElementChild.cloneNode(true);
    list(this.#find("tbody"), this.#sorted(tables), (table) => table.name, row, (node, table) => this.#update(node, table));
    this.#find("table").toggleAttribute("data-copied", all.every(copyDone));
    text(this.#find(".found"), tables.length === all.length ? "" : `${count(tables.length)} of ${count(all.length)}`);
    show(this.#find(".none"), tables.length === 0);
    for (const button of this.#details.querySelectorAll("[data-sort]")) {
      const heading = button.parentElement;
      if (button.dataset.sort !== this.#sort.by) heading.removeAttribute("aria-sort");
      else if (heading.ariaSort !== order(this.#sort)) heading.setAttribute("aria-sort", order(this.#sort));
    }
  }

  #sorted(tables) {
    const { by, down } = this.#sort;
    const way = down ? -1 : 1;
    const keyed = tables.map((table) => [VALUES[by](table), table]);
    keyed.sort(([a, one], [b, other]) => (by === "name" ? way * named(one.name, other.name) : way * (a - b) || named(one.name, other.name)));
    return keyed.map(([, table]) => table);
  }

  #update(node, table) {
    let row = this.#rows.get(node);
    if (!row) {
      const part = (selector) => node.querySelector(selector);
      row = {
        name: part(".name"), target: part(".target"), small: part(".small"), state: part(".tstate"),
        bar: part("progress"), rows: part(".rows span"), pending: part(".pending"), changes: part(".changes"),
        quarantined: part(".quarantined"), verified: part(".verified"), shown: "",
      };
      this.#rows.set(node, row);
    }
    const shown = cells(table, this.#source);
    const mark = JSON.stringify(shown);
    if (mark === row.shown) return;
    row.shown = mark;
    fill(row, table, shown);
  }
}

function order({ down }) {
  return down ? "descending" : "ascending";
}

function cells(table, source) {
  const done = copyDone(table);
  const expected = expectedRows(table);
  const left = done || !known(table.copy_remaining_seconds) ? "" : `, ${about(table.copy_remaining_seconds)} left`;
  return {
    target: table.target.replaceAll('"', "") === `${source.schema}.${table.name}` ? "" : `as ${table.target}`,
    state: stateOf(table, source),
    share: done ? null : expected ? table.rows_copied / expected : 0,
    rows: done ? count(table.rows ?? table.rows_copied) : `${count(table.rows_copied)} of ${known(table.rows_estimate) ? count(expected) : DASH}${left}`,
    pending: count(table.pending_changes),
    changes: count(table.changes_applied),
    quarantined: count(table.quarantined ?? 0),
    verified: verified(table),
    equal: table.verification_equal,
  };
}

function fill(row, table, shown) {
  text(row.name, table.name);
  text(row.target, shown.target);
  text(row.small, small(table, shown));
  text(row.state, shown.state);
  row.state.dataset.state = shown.state;
  show(row.bar, shown.share !== null);
  row.bar.value = shown.share ?? 0;
  row.bar.setAttribute("aria-label", `${table.name} copied`);
  row.bar.setAttribute("aria-valuetext", percent(shown.share ?? 1));
  text(row.rows, shown.rows);
  text(row.pending, shown.pending);
  tone(row.pending, table.pending_changes > 0 ? "some" : "");
  text(row.changes, shown.changes);
  text(row.quarantined, shown.quarantined);
  tone(row.quarantined, table.quarantined > 0 ? "warn" : "");
  text(row.verified, shown.verified);
  tone(row.verified, shown.equal === false ? "bad" : "");
}

// on a phone, where there is no room for the columns: what is out of the ordinary
function small(table, shown) {
  const said = ["streaming", "on PostgreSQL"].includes(shown.state) ? [] : [shown.state];
  if (table.quarantined > 0) said.push(`${shown.quarantined} in quarantine`);
  if (shown.equal === false) said.push("different");
  return said.join(", ");
}

function verified(table) {
  if (!known(table.verification_age_seconds)) return "not yet";
  const age = table.verification_age_seconds;
  const ago = age < 60 ? "just now" : `${about(Math.floor(age / 60) * 60)} ago`;
  return table.verification_equal === false ? `${ago}, different` : ago;
}

// what has moved does not stream any more, whatever was said of it before
function stateOf(table, source) {
  return MOVED.has(source.state) ? "on PostgreSQL" : table.state;
}

function summary(source) {
  const { tables } = source;
  const states = ["streaming", "copied", "copying", "pending", "repairing", "on PostgreSQL"];
  const counted = states.map((state) => [state, tables.filter((table) => stateOf(table, source) === state).length]).filter(([, n]) => n);
  if (counted.length === 1) return `${plural(tables.length, "table")}, ${tables.length > 1 ? "all " : ""}${counted[0][0]}`;
  return `${plural(tables.length, "table")}: ${counted.map(([state, n]) => `${count(n)} ${state}`).join(", ")}`;
}
