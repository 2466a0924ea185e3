// Writing into the page. Only what differs is touched, so that focus, selection and open sections stay
// as the reader left them, and a screen reader hears nothing twice.

export const $ = (id) => document.getElementById(id);

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function tone(node, value) {
  if (node.dataset.tone !== value) node.dataset.tone = value;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

export function icon(id, name) {
  const use = $(id);
  if (use.getAttribute("href") !== `#icon-${name}`) use.setAttribute("href", `#icon-${name}`);
}

export function element(name, className = "", content = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.textContent = content;
  return node;
}

// one child per item, kept by key, in the order of the items
export function list(parent, items, keyOf, create, update) {
  const kept = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, i) => {
    const key = keyOf(item);
    let node = kept.get(key);
    kept.delete(key);
    if (!node) {
      node = create(item);
      node.dataset.key = key;
    }
    if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] ?? null);
    update(node, item);
  });
  for (const node of kept.values()) node.remove();
}

// text whose commands stand between backticks
export function prose(node, value) {
  if (node.dataset.prose === value) return;
  node.dataset.prose = value;
  node.replaceChildren(...value.split("`").map((part, i) => (i % 2 ? element("code", "", part) : part)));
}
