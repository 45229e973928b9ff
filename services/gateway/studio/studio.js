// Starts the pages, and says which model is behind them.

import { json } from "./api.js";
import * as batch from "./batch.js";
import * as edit from "./edit.js";
import * as health from "./health.js";
import { find } from "./page.js";
import * as speak from "./speak.js";
import * as voices from "./voices.js";

const PAGES = ["edit", "speak", "batch", "health"];
const ASKED_AGAIN = { batch, health }; // while they are open

function open(name, { focus = false } = {}) {
  for (const page of PAGES) {
    const tab = find(`tab-${page}`), chosen = page === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    find(`page-${page}`).hidden = !chosen;
    if (chosen && focus) tab.focus();
  }
  history.replaceState(null, "", `#${name}`);
  for (const [page, { open, close }] of Object.entries(ASKED_AGAIN)) (page === name ? open : close)();
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
    find("model").textContent = "no model";
    find("notice").textContent = error.status === 401 ? `${error.message} Enter a token on the page Health.` : error.message;
    find("notice").hidden = false;
  }
}

wireTabs();
health.start(() => { model(); voices.refresh(); });
speak.start();
batch.start();
open(PAGES.includes(location.hash.slice(1)) ? location.hash.slice(1) : "edit");
await Promise.all([model(), edit.start()]);
document.documentElement.dataset.ready = "true";
