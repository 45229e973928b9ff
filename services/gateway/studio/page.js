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

/** What `work` gives; the button does not take a second press meanwhile. */
export async function whileBusy(id, work) {
  find(id).disabled = true;
  try {
    return await work();
  } finally {
    find(id).disabled = false;
  }
}

/** Does `work` again and again from `open()` until `close()`, its end and the next beginning so far apart. */
export function repeated(work, milliseconds) {
  let timer = null, turn = 0;
  const close = () => { clearTimeout(timer); turn += 1; };
  const open = async () => {
    close();
    const mine = turn;
    await work();
    if (turn === mine) timer = setTimeout(open, milliseconds);
  };
  return { open, close };
}

/** A link that saves a blob under a name. */
export function download(text, blob, name) {
  return element("a", { className: "button", href: URL.createObjectURL(blob), download: name, textContent: text });
}
