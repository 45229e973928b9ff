// The page that edits: a recording, an instruction, what the model does, and every version that came of it.

import { bytesOf, events, form, refusal } from "./api.js";
import * as outcome from "./outcome.js";
import { clear, element, fail, find } from "./page.js";
import * as source from "./source.js";
import { load, save, tidy } from "./store.js";
import { TimeLine, Track } from "./timeline.js";
import { wholeWav } from "./wav.js";

const EXAMPLES = ["make it 1.5 times faster", "make the voice 2 semitones higher", "make it 6 dB louder",
  "delete the word “blue”", "replace “red” with “green”", "remove the noise"];

// A version: { label, blob, name, report, plan, reasoning }; the first one is the recording itself.
const state = { versions: [], at: 0, instruction: "", running: false };
let line, running = null;

export async function start() {
  line = new TimeLine(new Track(find("track-before"), find("wave-before")), new Track(find("track-after"), find("wave-after")), transport);
  for (const text of EXAMPLES) {
    const chip = element("button", { type: "button", textContent: text });
    chip.onclick = () => { find("instruction").value = text; find("instruction").focus(); };
    find("examples").append(chip);
  }
  source.start(take, (error) => failed(error, "drop"));
  find("order").onsubmit = (event) => { event.preventDefault(); apply(); };
  find("cancel").onclick = () => running?.abort();
  find("undo").onclick = () => go(state.at - 1);
  find("restart").onclick = restart;
  find("transcribe").onclick = transcribe;
  find("play").onclick = () => line.toggle();
  find("swap").onclick = () => line.swap();
  find("spectrogram").onchange = (event) => { line.spectrogram = event.target.checked; line.redraw(); };
  document.addEventListener("keydown", keys);
  await restore();
}

/** What this tab had before it was reloaded; an edit that ran then was ended by the reload, and says so. */
async function restore() {
  tidy().catch(() => {});
  const kept = await load().catch(() => null);
  if (!kept?.versions.length) return;
  Object.assign(state, kept, { running: false });
  find("instruction").value = kept.instruction;
  await render();
  if (kept.running) failed(refusal("The page was left while an edit was running, which ended it.", "press Apply to do it again"), "order");
}

function keep() {
  save({ ...state }).catch(() => {}); // a browser that keeps nothing (private window) edits all the same
}

/** Tells an error below the part of the page that it came from. */
function failed(error, place) {
  fail("failure", error);
  find("work").hidden = !state.versions.length;
  find(place).after(find("failure"));
}

/** Ends an edit whose outcome nobody waits for any more. */
function giveUp() {
  running?.abort();
  running = null;
}

async function take(blob, name) {
  giveUp();
  state.versions = [{ label: name, blob, name }];
  await go(0);
  find("instruction").focus();
}

async function apply() {
  const { at } = state, instruction = find("instruction").value.trim();
  if (running || !instruction) return;
  const mine = running = new AbortController();
  Object.assign(state, { instruction, running: true });
  keep();
  begun();
  let version = null;
  try {
    version = await edited(state.versions[at], instruction, mine.signal);
    state.versions.splice(at + 1, Infinity, { ...version, name: `edited-${at + 1}.wav` });
    state.at = at + 1;
  } catch (error) {
    if (error.name !== "AbortError") failed(error, "order");
    else if (running === mine) failed(refusal("Cancelled; nothing was changed.", ""), "order");
  } finally {
    if (running === mine) running = null;
    state.running = false;
    ended();
    keep();
  }
  if (version) await render();
}

/** The version that an instruction makes of another; what happens meanwhile is shown. */
async function edited({ blob, name }, instruction, signal) {
  const body = form({
    file: new File([blob], name), instruction, stream_format: "sse", response_format: "wav",
    engine: find("engine").value, seed: find("seed").value, transcript: find("transcript").value,
  });
  const made = { pieces: [], reasoning: "", plan: null, report: null };
  for await (const event of events("/v1/audio/edits", { method: "POST", body, signal }, "edit.done")) happened(event, made);
  const { pieces, ...rest } = made;
  return { label: instruction, blob: wholeWav(pieces), ...rest };
}

function happened(event, made) {
  switch (event.type) {
    case "edit.plan":
      made.plan = event.plan;
      find("plan").textContent = event.plan.summary;
      find("stage").textContent = "Working";
      break;
    case "edit.reasoning.delta":
      made.reasoning += event.delta;
      find("reasoning").textContent = made.reasoning;
      break;
    case "edit.progress":
      find("stage").textContent = event.stage[0].toUpperCase() + event.stage.slice(1);
      find("bar").value = event.fraction;
      break;
    case "edit.audio.delta":
      made.pieces.push(bytesOf(event.audio));
      break;
    case "edit.done":
      made.report = event.report;
      break;
  }
}

function begun() {
  clear("failure");
  find("outcome").hidden = true;
  find("progress").hidden = false;
  find("stage").textContent = "Sending";
  find("plan").textContent = find("reasoning").textContent = "";
  find("bar").removeAttribute("value");
  find("apply").disabled = true;
  find("cancel").hidden = false;
}

function ended() {
  find("progress").hidden = true;
  find("apply").disabled = false;
  find("cancel").hidden = true;
}

async function go(at) {
  state.at = at;
  clear("failure");
  keep();
  await render();
}

async function restart() {
  giveUp();
  line.pause();
  Object.assign(state, { versions: [], instruction: "" });
  find("instruction").value = "";
  await go(0);
  find("file").focus();
}

async function transcribe() {
  const version = state.versions[state.at], heard = find("heard");
  heard.textContent = "listening …";
  heard.setAttribute("aria-busy", "true"); // who listens to the page hears the whole, not every piece
  try {
    const body = form({ file: new File([version.blob], version.name), stream: "true" });
    let text = "";
    for await (const event of events("/v1/audio/transcriptions", { method: "POST", body }, "transcript.text.done")) {
      text = event.text ?? text + event.delta;
      if (state.versions[state.at] !== version) return; // another version is looked at meanwhile
      heard.textContent = text ? `“${text}”` : "(nothing was heard)";
    }
  } catch (error) {
    heard.textContent = "";
    failed(error, "order");
  } finally {
    heard.removeAttribute("aria-busy");
  }
}

async function render() {
  const now = state.versions[state.at], before = state.versions[state.at - 1];
  find("work").hidden = !now;
  find("drop").classList.toggle("small", Boolean(now));
  find("undo").disabled = state.at === 0;
  find("heard").textContent = "";
  list();
  outcome.show(now);
  if (now) await line.show((before ?? now).blob, before ? now.blob : null, before ? outcome.rangesOf(now.report) : []);
}

function list() {
  find("versions").replaceChildren(...state.versions.map((version, at) => {
    const button = element("button", { type: "button", textContent: version.label });
    if (at === state.at) button.setAttribute("aria-current", "true");
    button.onclick = () => go(at);
    return element("li", {}, button);
  }));
}

function transport() {
  find("play").textContent = line.isPlaying ? "Pause" : "Play";
  find("play").disabled = !line.ready;
  find("swap").disabled = !line.hasBoth;
  find("swap").textContent = line.heard === "after" ? "Hear before" : "Hear after";
  for (const name of ["before", "after"]) find(`track-${name}`).classList.toggle("chosen", line.hasBoth && line.heard === name);
  find("clock").textContent = `${line.time.toFixed(1)} s of ${line.track.duration.toFixed(1)} s`;
}

/** Space plays, B swaps, arrows move by a second, wherever nothing is being typed or pressed. */
function keys(event) {
  if (find("page-edit").hidden || find("work").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, button, a, summary, label")) return;
  const does = {
    Space: () => line.toggle(), KeyB: () => line.swap(), ArrowLeft: () => line.move(-1), ArrowRight: () => line.move(1),
  }[event.code];
  if (!does) return;
  event.preventDefault(); // Space and arrows would scroll
  does();
}
