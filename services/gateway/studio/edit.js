// The page that edits: a recording, an instruction, what the model does, and every version that came of it.

import { ApiError, bytesOf, events, form } from "./api.js";
import { shown } from "./difference.js";
import { clear, download, element, fail, find } from "./page.js";
import { load, save, tidy } from "./store.js";
import { seconds, TimeLine, Track } from "./timeline.js";
import { asWav, wholeWav } from "./wav.js";

const EXAMPLES = ["make it 1.5 times faster", "make the voice 2 semitones higher", "make it 6 dB louder",
  "delete the word “blue”", "replace “red” with “green”", "remove the noise"];
const MAX_BYTES = 64 * 2 ** 20;
const RECORDING_SECONDS = 120;

// A version: { label, blob, name, report, plan, reasoning }; the first one is the recording itself.
const state = { versions: [], at: 0, instruction: "", running: false };
let line, running = null, recorder = null;

export async function start() {
  line = new TimeLine(new Track(find("track-before"), find("wave-before")), new Track(find("track-after"), find("wave-after")), transport);
  for (const text of EXAMPLES) {
    const chip = element("button", { type: "button", textContent: text });
    chip.onclick = () => { find("instruction").value = text; find("instruction").focus(); };
    find("examples").append(chip);
  }
  wireSource();
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
  if (kept.running) {
    fail("failure", new ApiError({ message: "The page was left while an edit was running, which ended it.",
      metadata: { remedy: "press Apply to do it again" } }, 0));
  }
}

function keep() {
  save({ ...state }).catch(() => {}); // a browser that keeps nothing (private window) edits all the same
}

function wireSource() {
  const drop = find("drop");
  find("file").onchange = (event) => { if (event.target.files[0]) take(event.target.files[0]); event.target.value = ""; };
  find("record").onclick = record;
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  };
}

async function take(blob, name = blob.name) {
  running?.abort();
  clear("failure");
  try {
    if (blob.size > MAX_BYTES) throw refusal(`${name} has ${(blob.size / 2 ** 20).toFixed(0)} MiB, the limit is 64 MiB.`, "send FLAC or MP3, or cut it");
    await seconds(blob).catch(() => { throw refusal(`${name} is no recording that this browser can read.`, "send WAV, FLAC, OGG or MP3"); });
  } catch (error) {
    fail("failure", error);
    find("work").hidden = !state.versions.length;
    find("drop").after(find("failure"));
    return;
  }
  Object.assign(state, { versions: [{ label: name, blob, name }], at: 0 });
  keep();
  await render();
  find("instruction").focus();
}

const refusal = (message, remedy) => new ApiError({ message, metadata: { remedy } }, 0);

async function record() {
  if (recorder) { recorder.stop(); return; }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    fail("failure", refusal(`No microphone: ${error.message}.`, "allow it for this page, or choose a file"));
    find("drop").after(find("failure"));
    return;
  }
  const pieces = [];
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = (event) => pieces.push(event.data);
  recorder.onstop = async () => {
    clearTimeout(timer);
    stream.getTracks().forEach((track) => track.stop());
    const type = recorder.mimeType;
    recorder = null;
    find("record").textContent = "Record";
    find("record").classList.remove("recording");
    take(await asWav(new Blob(pieces, { type })), "recording.wav");
  };
  recorder.start();
  const timer = setTimeout(() => recorder?.stop(), 1000 * RECORDING_SECONDS);
  find("record").textContent = "Stop recording";
  find("record").classList.add("recording");
}

async function apply() {
  const source = state.versions[state.at];
  const instruction = find("instruction").value.trim();
  if (running || !instruction) return;
  running = new AbortController();
  Object.assign(state, { instruction, running: true });
  keep();
  begun();
  const made = { pieces: [], reasoning: "", plan: null, report: null };
  try {
    const body = form({
      file: new File([source.blob], source.name), instruction, stream_format: "sse", response_format: "wav",
      engine: find("engine").value, seed: find("seed").value, transcript: find("transcript").value,
    });
    for await (const event of events("/v1/audio/edits", { method: "POST", body, signal: running.signal })) happened(event, made);
    if (!made.report) throw refusal("The edit ended before it was finished.", "try again");
    state.versions.splice(state.at + 1);
    state.versions.push({
      label: instruction, blob: wholeWav(made.pieces), name: `edited-${state.at + 1}.wav`,
      report: made.report, plan: made.plan, reasoning: made.reasoning,
    });
    state.at += 1;
  } catch (error) {
    if (error.name === "AbortError") error = refusal("Cancelled; nothing was changed.", "");
    fail("failure", error);
    find("order").after(find("failure"));
  } finally {
    running = null;
    state.running = false;
    ended();
    keep();
  }
  if (made.report) await render();
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
  running?.abort();
  line.pause();
  Object.assign(state, { versions: [], at: 0, instruction: "" });
  find("instruction").value = "";
  clear("failure");
  keep();
  await render();
  find("file").focus();
}

async function transcribe() {
  const version = state.versions[state.at], heard = find("heard");
  heard.textContent = "listening …";
  heard.setAttribute("aria-busy", "true"); // who listens to the page hears the whole, not every piece
  try {
    const body = form({ file: new File([version.blob], version.name), stream: "true" });
    let text = "";
    for await (const event of events("/v1/audio/transcriptions", { method: "POST", body })) {
      text = event.type === "transcript.text.done" ? event.text : text + event.delta;
      if (state.versions[state.at] !== version) return; // another version is looked at meanwhile
      heard.textContent = text ? `“${text}”` : "(nothing was heard)";
    }
  } catch (error) {
    heard.textContent = "";
    fail("failure", error);
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
  outcome(now, before);
  if (now) {
    await line.show((before ?? now).blob, before ? now.blob : null, before ? rangesOf(now.report) : []);
  }
}

function list() {
  find("versions").replaceChildren(...state.versions.map((version, at) => {
    const button = element("button", { type: "button", textContent: version.label });
    if (at === state.at) button.setAttribute("aria-current", "true");
    button.onclick = () => go(at);
    return element("li", {}, button);
  }));
}

const rangesOf = (report) => (report.ranges ?? []).map(({ source, result }) => ({
  source: { start: source.start_seconds, end: source.end_seconds },
  result: { start: result.start_seconds, end: result.end_seconds },
}));

function outcome(version, before) {
  find("outcome").hidden = !version?.report;
  if (!version?.report) return;
  const { report, plan } = version;
  find("summary").textContent = `${plan?.summary ?? ""} ${report.source_seconds.toFixed(2)} s became ${report.result_seconds.toFixed(2)} s.`;
  find("difference").replaceChildren(...(report.transcript_before || report.transcript_after
    ? shown(report.transcript_before, report.transcript_after) : []));
  find("checks").hidden = !report.checks.length;
  find("checks").tBodies[0].replaceChildren(...report.checks.map(row));
  find("warnings").replaceChildren(...report.warnings.map((text) => element("li", { textContent: text })));
  const report_file = new Blob([JSON.stringify(report, null, 2)], { type: "application/json" });
  const signed = report.provenance?.manifest;
  const manifest = signed ? [download("Download the manifest", new Blob([signed]), "manifest.jws")] : [];
  find("downloads").replaceChildren(
    download("Download the audio", version.blob, version.name), download("Download the report", report_file, "report.json"), ...manifest);
}

function row(check) {
  const verdict = check.verdict.replace("CHECK_VERDICT_", "").toLowerCase();
  const number = (value) => `${Number(value.toPrecision(4))} ${check.unit}`.trim();
  const skipped = verdict === "skipped";
  return element("tr", {},
    element("td", { textContent: check.name.replaceAll("_", " ") }),
    element("td", { textContent: skipped ? "–" : number(check.expected) }),
    element("td", { textContent: skipped ? "–" : number(check.measured) }),
    element("td", { className: verdict === "passed" ? "passed" : verdict === "failed" ? "wrong" : "", textContent: `${verdict}${check.detail ? `: ${check.detail}` : ""}` }));
}

function transport() {
  find("play").textContent = line.isPlaying ? "Pause" : "Play";
  find("swap").disabled = !line.hasBoth;
  find("swap").textContent = line.heard === "after" ? "Hear before" : "Hear after";
  for (const name of ["before", "after"]) find(`track-${name}`).classList.toggle("chosen", line.hasBoth && line.heard === name);
  find("clock").textContent = `${line.time.toFixed(1)} s of ${line.track.duration.toFixed(1)} s`;
}

/** Space plays and B swaps, wherever nothing is being typed or pressed. */
function keys(event) {
  if (find("page-edit").hidden || find("work").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, button, a, summary, label")) return;
  if (event.code === "Space") { event.preventDefault(); line.toggle(); }
  if (event.code === "KeyB") line.swap();
}
