// The page of many: jobs over several recordings, followed while the page is open, also after a reload.

import { ask, form, json } from "./api.js";
import { JobRow } from "./job_row.js";
import { clear, fail, find, repeated, whileBusy } from "./page.js";

// Asked again and again by one request: a stream for each job would use up the few connections that a browser has.
const EVERY_MS = 1500;
const MOST_SHOWN = 20;
const rows = new Map(); // job id to its row
let isLost = false;

export function start() {
  find("files").onchange = (event) => {
    const names = [...event.target.files].map((file) => file.name);
    find("files-hint").textContent = names.length ? `${names.length} chosen: ${names.slice(0, 3).join(", ")}${names.length > 3 ? " …" : ""}` : "none chosen";
  };
  find("batch").onsubmit = (event) => { event.preventDefault(); told(send); };
}

export const { open, close } = repeated(follow, EVERY_MS);

async function follow() {
  try {
    await refresh();
    if (isLost) clear("batch-failure");
    isLost = false;
  } catch (error) {
    isLost = true;
    fail("batch-failure", error);
  }
}

/** Brings the rows to what the service says: the caller's newest jobs, those that changed asked for as a whole. */
async function refresh() {
  const jobs = (await json(`/v1/jobs?limit=${MOST_SHOWN}`)).data;
  const listed = new Set(jobs.map((job) => job.id));
  for (const id of rows.keys()) if (!listed.has(id)) drop(id);
  for (const job of jobs.reverse()) {
    if (rows.get(job.id)?.revision !== job.revision) show(await json(`/v1/jobs/${job.id}`));
  }
  find("no-jobs").hidden = rows.size > 0;
}

function show(job) {
  if (!rows.has(job.id)) {
    const row = new JobRow({ cancel: () => told(() => cancel(job.id)), remove: () => told(() => remove(job.id)), fetchAudio: (item) => told(() => audioOf(job.id, item)) });
    rows.set(job.id, row);
    find("jobs").prepend(row.element);
  }
  rows.get(job.id).draw(job);
  find("no-jobs").hidden = true;
}

function drop(id) {
  rows.get(id)?.element.remove();
  rows.delete(id);
  find("no-jobs").hidden = rows.size > 0;
}

/** What `work` gives; what it fails at is told on the page, and gives nothing. */
async function told(work) {
  clear("batch-failure");
  try {
    return await work();
  } catch (error) {
    fail("batch-failure", error);
    return undefined;
  }
}

async function send() {
  const file = [...find("files").files];
  const instruction = find("instructions").value.split("\n").map((text) => text.trim()).filter(Boolean);
  if (!file.length) { fail("batch-failure", { message: "No recording is chosen.", remedy: "choose one or several" }); return; }
  const body = form({ file, instruction, chain: find("chain").checked ? "true" : "" });
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  show(await whileBusy("send", () => json("/v1/jobs", { method: "POST", body, headers })));
}

const cancel = async (id) => show(await json(`/v1/jobs/${id}/cancel`, { method: "POST" }));

async function remove(id) {
  await json(`/v1/jobs/${id}`, { method: "DELETE" }).catch((error) => { if (error.status !== 404) throw error; });
  drop(id);
}

/** The audio that an item made; a plain link could not send the token. */
const audioOf = async (id, item) => (await ask(`/v1/jobs/${id}/items/${item.index}/content`)).blob();
