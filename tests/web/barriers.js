// What a checker for accessibility looks at, as far as a page of ours can get it wrong; [] when nothing is.
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)].filter((node) => !node.closest("[hidden]"));
  const found = [];
  const say = (what) => (node) => found.push(`${what}: ${node.outerHTML.slice(0, 90)}`);
  const named = (node) => node.textContent.trim() || node.ariaLabel || node.closest("label") || node.hasAttribute("aria-labelledby");
  const ids = all("[id]").map((node) => node.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => found.push(`id twice: ${id}`));
  for (const name of ["aria-labelledby", "aria-describedby"]) {
    all(`[${name}]`).filter((node) => !document.getElementById(node.getAttribute(name))).forEach(say(`${name} to nowhere`));
  }
  all("img:not([alt])").forEach(say("picture without alt"));
  all("button, a, input, select, progress, summary, [role=slider]").filter((node) => !named(node)).forEach(say("no name"));
  all("table").filter((node) => !node.caption?.textContent.trim()).forEach(say("table without caption"));
  all("th:not([scope])").forEach(say("heading cell without scope"));
  all("[role=region], section").filter((node) => !node.ariaLabel && !node.hasAttribute("aria-labelledby")).forEach(say("region without name"));
  const levels = all("h1, h2, h3, h4").map((node) => Number(node.tagName[1]));
  levels.forEach((level, i) => level > (levels[i - 1] ?? 0) + 1 && found.push(`heading level ${level} after ${levels[i - 1]}`));
  all("*").filter((node) => node.scrollHeight > node.clientHeight + 1 && getComputedStyle(node).overflowY === "auto" && node.tabIndex < 0).forEach(say("scrolls without keyboard"));
  if (!document.documentElement.lang || !document.title || all("h1").length !== 1 || all("main").length !== 1) found.push("no frame");
  return found;
})()
