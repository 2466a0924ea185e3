// A cutover or a rollback, or the rehearsal of one: what became of it, and how long each phase took.

import { $, element, list, show, text, tone } from "./dom.js";
import { duration, known, moment, sentence } from "./format.js";

const OUTCOMES = {
  cut_over: ["done", "ok"], rolled_back: ["done", "ok"], rehearsed: ["rehearsed", "ok"],
  refused: ["refused", "warn"], failed: ["failed", "bad"],
};

export function renderMove(id, report) {
  const panel = $(id);
  show(panel, Boolean(report));
  if (!report) return;
  if (!panel.firstElementChild) build(panel, id);
  const [heading, note, bar, phases] = panel.children;
  const [outcome, level] = OUTCOMES[report.outcome] ?? ["under way", "busy"];
  tone(panel, level);
  text(heading, `${id === "cutover" ? "Cutover" : "Rollback"} ${outcome}`);
  const at = report.finished_at ? `${moment(Date.parse(report.finished_at) / 1000)}. ` : "";
  const pause = known(report.pause_seconds) ? `Writers waited for ${duration(report.pause_seconds)}. ` : "";
  text(note, (at + pause + (report.reason ? sentence(report.reason) : "")).trim());
  renderPhases(bar, phases, report);
}

function build(panel, id) {
  panel.append($("move-template").content.cloneNode(true));
  panel.querySelector("h2").id = `${id}-label`;
  panel.querySelector(".phases").setAttribute("aria-label", `Phases of the ${id}`);
}

function renderPhases(bar, names, report) {
  const phases = (report.phases ?? []).map((phase, i) => ({ ...phase, key: `${i} ${phase.name}` }));
  const whole = phases.reduce((all, phase) => all + phase.seconds, 0);
  show(bar, whole > 0);
  list(bar, phases, (phase) => phase.key, () => element("span"), (node, phase) => {
    node.style.flexGrow = String((100 * phase.seconds) / whole || 1);
  });
  const create = () => {
    const item = element("li");
    item.append(element("span"), " ", element("b"));
    return item;
  };
  list(names, phases, (phase) => phase.key, create, (item, phase) => {
    text(item.firstChild, phase.name.replaceAll("_", " "));
    text(item.lastChild, duration(phase.seconds));
  });
}
