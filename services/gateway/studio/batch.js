// The page of many: jobs over several recordings, followed while they are done, also after a reload.

import { ask, events, form, json } from "./api.js";
import { clear, download, element, fail, find } from "./page.js";

const rows = new Map(); // job id to { element, job, watch }

export function start() {
  find("files").onchange = (event) => {
    const names = [...event.target.files].map((file) => file.name);
    find("files-hint").textContent = names.length ? `${names.length} chosen: ${names.slice(0, 3).join(", ")}${names.length > 3 ? " …" : ""}` : "none chosen";
  };
  find("batch").onsubmit = (event) => { event.preventDefault(); send(); };
}

/** Shows the caller's jobs; called when the page is opened. */
export async function refresh() {
  try {
    for (const job of (await json("/v1/jobs?limit=20")).data.reverse()) if (!rows.has(job.id)) follow(job);
    clear("batch-failure");
  } catch (error) {
    fail("batch-failure", error);
  }
}

async function send() {
  const files = [...find("files").files];
  const instruction = find("instructions").value.split("\n").map((text) => text.trim()).filter(Boolean);
  clear("batch-failure");
  if (!files.length) { fail("batch-failure", { message: "No recording is chosen.", remedy: "choose one or several" }); return; }
  find("send").disabled = true;
  try {
    const body = form({ file: files, instruction, chain: find("chain").checked ? "true" : "" });
    follow(await json("/v1/jobs", { method: "POST", body, headers: { "Idempotency-Key": crypto.randomUUID() } }));
  } catch (error) {
    fail("batch-failure", error);
  } finally {
    find("send").disabled = false;
  }
}

async function follow(job) {
  const row = { element: element("li"), job, watch: new AbortController() };
  rows.set(job.id, row);
  find("jobs").prepend(row.element);
  draw(row);
  try {
    for await (const event of events(`/v1/jobs/${job.id}/events`, { signal: row.watch.signal })) {
      if (event.type === "job.changed") draw(row, event.job);
    }
  } catch (error) {
    if (error.name !== "AbortError") fail("batch-failure", error);
  }
}

/** The row after a change, which brings only the items that changed. */
function draw(row, change = row.job) {
  const items = new Map([...(row.job.items ?? []), ...(change.items ?? [])].map((item) => [item.index, item]));
  row.job = { ...change, items: [...items.values()].sort((a, b) => a.index - b.index) };
  const { job } = row, ended = ["succeeded", "failed", "cancelled"].includes(job.status);
  const bar = element("progress", { max: 1, value: job.fraction });
  bar.setAttribute("aria-label", `Progress of job ${job.id.slice(0, 8)}`);
  const button = element("button", { type: "button", textContent: ended ? "Remove" : "Cancel" });
  button.onclick = () => (ended ? remove(row) : json(`/v1/jobs/${job.id}/cancel`, { method: "POST" }).catch((error) => fail("batch-failure", error)));
  row.element.replaceChildren(
    element("div", { className: "row" }, element("span", { className: `state ${job.status}`, textContent: job.status }),
      element("span", { className: "hint", textContent: `${job.counts.succeeded} of ${job.counts.total} done · ${job.id.slice(0, 8)} · ${new Date(job.create_time).toLocaleTimeString()}` }),
      element("div", { className: "row end" }, button)),
    ...(ended ? [] : [bar]), element("ul", {}, ...job.items.map((item) => line(job, item))));
  find("no-jobs").hidden = rows.size > 0;
}

function line(job, item) {
  const status = item.state.replace("EDIT_JOB_STATE_", "").toLowerCase();
  const what = `${item.spec.label || `recording ${item.index + 1}`}: ${item.spec.edits.map((edit) => edit.instruction).join(", then ")}`;
  const parts = [`${what} – `, element("span", { className: `state ${status}`, textContent: status })];
  if (status === "failed") parts.push(` ${item.error?.message ?? ""}`);
  if (status === "succeeded") {
    const button = element("button", { type: "button", textContent: "Fetch the audio" });
    button.onclick = () => fetchAudio(job, item, button);
    parts.push(" ", button);
  }
  return element("li", {}, ...parts);
}

/** Puts a player and a link in the button's place; a plain link could not send the token. */
async function fetchAudio(job, item, button) {
  button.disabled = true;
  try {
    const blob = await (await ask(`/v1/jobs/${job.id}/items/${item.index}/content`)).blob();
    const player = element("audio", { controls: true, src: URL.createObjectURL(blob) });
    button.replaceWith(player, " ", download("Download", blob, `${job.id.slice(0, 8)}-${item.index}.wav`));
  } catch (error) {
    button.disabled = false;
    fail("batch-failure", error);
  }
}

async function remove(row) {
  row.watch.abort();
  try {
    await json(`/v1/jobs/${row.job.id}`, { method: "DELETE" });
  } catch (error) {
    if (error.status !== 404) { fail("batch-failure", error); return; }
  }
  row.element.remove();
  rows.delete(row.job.id);
  find("no-jobs").hidden = rows.size > 0;
}
