// The page that speaks: text to speech, heard while it is made.

import { bytesOf, events } from "./api.js";
import { clear, download, element, fail, find } from "./page.js";
import { seconds, Track } from "./timeline.js";
import * as voices from "./voices.js";
import { HEADER_BYTES, LivePlayer, wholeWav } from "./wav.js";

const RATE = 16000;
let running = null, track = null;

export function start() {
  track = new Track(find("spoken"), find("wave-spoken"));
  find("say").onsubmit = (event) => { event.preventDefault(); speak(); };
  find("hush").onclick = () => running?.abort();
  voices.start();
}

async function speak() {
  if (running) return;
  running = new AbortController();
  clear("say-failure");
  find("spoken").hidden = true;
  find("speak").disabled = true;
  find("hush").hidden = false;
  find("say-state").textContent = "waiting for the first sound …";
  const player = new LivePlayer(RATE);
  try {
    const { pieces, report } = await spoken(player, running.signal);
    player.finish();
    await show(wholeWav(pieces), report);
  } catch (error) {
    player.stop();
    find("say-state").textContent = error.name === "AbortError" ? "stopped" : "";
    if (error.name !== "AbortError") fail("say-failure", error);
  } finally {
    running = null;
    find("speak").disabled = false;
    find("hush").hidden = true;
  }
}

/** The speech of the page's text, played while it comes: its pieces, and the report. */
async function spoken(player, signal) {
  const order = { input: find("text").value, voice: voices.chosen(), response_format: "wav", stream_format: "sse" };
  if (find("say-seed").value) order.seed = find("say-seed").value; // as text: it may be larger than a number here can be
  const options = { method: "POST", body: JSON.stringify(order), headers: { "Content-Type": "application/json" }, signal };
  const began = performance.now(), pieces = [];
  let report = null, skip = HEADER_BYTES;
  for await (const event of events("/v1/audio/speech", options, "speech.audio.done")) {
    if (event.type === "speech.audio.done") report = event.report;
    if (event.type !== "speech.audio.delta") continue;
    const bytes = bytesOf(event.audio);
    if (!pieces.length) find("say-state").textContent = `first sound after ${Math.round(performance.now() - began)} ms`;
    pieces.push(bytes);
    player.add(bytes.slice(Math.min(skip, bytes.length)));
    skip = Math.max(0, skip - bytes.length);
  }
  return { pieces, report };
}

async function show(blob, report) {
  track.duration = await seconds(blob);
  await track.show(blob, track.duration, [], { spectrogram: true, waveColor: "--after", onTime: () => {}, onEnd: () => {} });
  const play = element("button", { type: "button", textContent: "Play again" });
  play.onclick = () => track.surfer.playPause();
  find("say-report").textContent = [
    `${track.duration.toFixed(1)} s, seed ${report.seed}.`, ...report.warnings].join(" \u00b7 ");
  find("say-downloads").replaceChildren(play, download("Download the audio", blob, "speech.wav"));
}
