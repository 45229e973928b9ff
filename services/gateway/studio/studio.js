// Starts the pages, and says which model is behind them.

import { json } from "./api.js";
import * as batch from "./batch.js";
import * as edit from "./edit.js";
import * as health from "./health.js";
import { find } from "./page.js";
import * as speak from "./speak.js";

const PAGES = ["edit", "speak", "batch", "health"];

function open(name, { focus = false } = {}) {
  for (const page of PAGES) {
    const tab = find(`tab-${page}`), chosen = page === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    find(`page-${page}`).hidden = !chosen;
    if (chosen && focus) tab.focus();
  }
  history.replaceState(null, "", `#${name}`);
  health.close();
  if (name === "health") health.open();
  if (name === "batch") batch.refresh();
}

function wireTabs() {
  PAGES.forEach((page, at) => {
    const tab = find(`tab-${page}`);
    tab.onclick = () => open(page);
    tab.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) open(PAGES[(at + step + PAGES.length) % PAGES.length], { focus: true });
    };
  });
}

async function model() {
  try {
    const [loaded] = (await json("/v1/models")).data;
    find("model").textContent = `${loaded.id} · ${loaded.revision}`;
    find("version").textContent = `uniaudio ${loaded.version}`;
    find("notice").textContent = loaded.notice;
    find("notice").hidden = !loaded.notice;
  } catch (error) {
    find("model").textContent = error.message;
  }
}

wireTabs();
health.start(() => { model(); speak.voices(); });
speak.start();
batch.start();
open(PAGES.includes(location.hash.slice(1)) ? location.hash.slice(1) : "edit");
await Promise.all([model(), edit.start()]);
document.documentElement.dataset.ready = "true";
