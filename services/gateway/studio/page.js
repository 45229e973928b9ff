// Small things that every page needs.

export const find = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Tells an error where it happened: what, and what to do. */
export function fail(id, error) {
  const box = find(id);
  box.replaceChildren(element("strong", { textContent: error.message }));
  if (error.remedy && !error.message.includes(error.remedy)) box.append(` ${error.remedy[0].toUpperCase()}${error.remedy.slice(1)}.`);
  box.hidden = false;
}

export function clear(id) {
  find(id).hidden = true;
  find(id).replaceChildren();
}

/** A link that saves a blob under a name. */
export function download(text, blob, name) {
  return element("a", { className: "button", href: URL.createObjectURL(blob), download: name, textContent: text });
}
