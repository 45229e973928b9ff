// Where a recording comes from: a file that is dropped or chosen, or the microphone.

import { refusal } from "./api.js";
import { find } from "./page.js";
import { seconds } from "./timeline.js";
import { asWav } from "./wav.js";

const MAX_BYTES = 64 * 2 ** 20;
const RECORDING_SECONDS = 120;

/** Wires the page's three ways; `take` gets each recording with its name, `failed` what came of none. */
export function start(take, failed) {
  const offered = async (blob, name) => {
    try {
      await check(blob, name);
    } catch (error) {
      failed(error);
      return;
    }
    take(blob, name);
  };
  const drop = find("drop");
  find("file").onchange = (event) => {
    const [file] = event.target.files;
    if (file) offered(file, file.name);
    event.target.value = ""; // the same file may be chosen again
  };
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) offered(file, file.name);
  };
  wireRecorder(find("record"), offered, failed);
}

async function check(blob, name) {
  if (blob.size > MAX_BYTES) throw refusal(`${name} has ${(blob.size / 2 ** 20).toFixed(0)} MiB, the limit is 64 MiB.`, "send FLAC or MP3, or cut it");
  await seconds(blob).catch(() => { throw refusal(`${name} is no recording that this browser can read.`, "send WAV, FLAC, OGG or MP3"); });
}

/** Makes a button start and stop the microphone. */
function wireRecorder(button, take, failed) {
  let microphone = null, isBusy = false;
  button.onclick = async () => {
    microphone?.stop();
    if (isBusy) return;
    isBusy = true;
    try {
      microphone = await listen();
      button.textContent = "Stop recording";
      button.classList.add("recording");
      take(await asWav(await microphone.heard), "recording.wav");
    } catch (error) {
      failed(refusal(`No recording: ${error.message}.`, "allow the microphone for this page, or choose a file"));
    } finally {
      microphone = null;
      isBusy = false;
      button.textContent = "Record";
      button.classList.remove("recording");
    }
  };
}

/** A microphone that is on: `stop()` ends it, at the latest after two minutes, and `heard` is what came. */
async function listen() {
  if (!navigator.mediaDevices) throw new Error("browsers give the microphone to pages over HTTPS or on this machine alone");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream), pieces = [];
  const stop = () => { if (recorder.state !== "inactive") recorder.stop(); };
  const timer = setTimeout(stop, 1000 * RECORDING_SECONDS);
  const heard = new Promise((resolve) => {
    recorder.ondataavailable = (event) => pieces.push(event.data);
    recorder.onstop = () => {
      clearTimeout(timer);
      stream.getTracks().forEach((track) => track.stop());
      resolve(new Blob(pieces, { type: recorder.mimeType }));
    };
  });
  recorder.start();
  return { heard, stop };
}
