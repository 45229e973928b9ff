// The page that speaks: text to speech, heard while it is made.

import { bytesOf, events, form, json } from "./api.js";
import { clear, download, element, fail, find } from "./page.js";
import { seconds, Track } from "./timeline.js";
import { asWav, LivePlayer, wholeWav } from "./wav.js";

const RATE = 16000, HEADER_BYTES = 44;
let running = null, track = null;

export function start() {
  track = new Track(find("spoken"), find("wave-spoken"));
  find("say").onsubmit = (event) => { event.preventDefault(); speak(); };
  find("hush").onclick = () => running?.abort();
  find("new-voice").onsubmit = (event) => { event.preventDefault(); addVoice(); };
  voices();
}

/** The voices that may be asked for; only the model's own where no registry answers. */
export async function voices() {
  const known = [["default", "a voice of the model's own"]];
  try {
    for (const voice of (await json("/v1/audio/voices")).data) {
      if (voice.state === "VOICE_STATE_ACTIVE") known.push([voice.name, `${voice.name} (consent of ${voice.consent.given_by})`]);
    }
  } catch (error) {
    if (error.status !== 404 && error.status !== 401 && error.status !== 403) fail("say-failure", error);
  }
  find("voice").replaceChildren(...known.map(([value, textContent]) => element("option", { value, textContent })));
}

/** Keeps a voice under a name, with the consent of who speaks in it. */
async function addVoice() {
  const wanted = find("voice-name").value;
  clear("say-failure");
  find("add-voice").disabled = true;
  try {
    const body = form({
      name: wanted, audio_sample: new File([await asWav(find("voice-file").files[0])], "voice.wav"),
      given_by: find("given-by").value, purpose: find("purpose").value, given_at: new Date().toISOString(),
      evidence: `Confirmed in the studio: ${find("agreed").labels[0].textContent.trim()}`,
    });
    await json("/v1/audio/voices", { method: "POST", body });
    find("new-voice").reset();
    await voices();
    find("voice").value = wanted;
  } catch (error) {
    fail("say-failure", error);
  } finally {
    find("add-voice").disabled = false;
  }
}

async function speak() {
  if (running) return;
  running = new AbortController();
  clear("say-failure");
  find("spoken").hidden = true;
  find("speak").disabled = true;
  find("hush").hidden = false;
  find("say-state").textContent = "waiting for the first sound …";
  const began = performance.now(), player = new LivePlayer(RATE), pieces = [];
  let report = null;
  try {
    const order = { input: find("text").value, voice: find("voice").value, response_format: "wav", stream_format: "sse" };
    if (find("say-seed").value) order.seed = find("say-seed").value;
    const options = { method: "POST", body: JSON.stringify(order), headers: { "Content-Type": "application/json" }, signal: running.signal };
    let skip = HEADER_BYTES;
    for await (const event of events("/v1/audio/speech", options)) {
      if (event.type === "speech.audio.done") report = event.report;
      if (event.type !== "speech.audio.delta") continue;
      const bytes = bytesOf(event.audio);
      if (!pieces.length) find("say-state").textContent = `first sound after ${Math.round(performance.now() - began)} ms`;
      pieces.push(bytes);
      player.add(bytes.slice(Math.min(skip, bytes.length)));
      skip = Math.max(0, skip - bytes.length);
    }
    await show(wholeWav(pieces), report);
  } catch (error) {
    player.stop();
    if (error.name === "AbortError") find("say-state").textContent = "stopped";
    else { find("say-state").textContent = ""; fail("say-failure", error); }
  } finally {
    running = null;
    find("speak").disabled = false;
    find("hush").hidden = true;
  }
}

async function show(blob, report) {
  track.duration = await seconds(blob);
  await track.show(blob, track.duration, [], { spectrogram: true, waveColor: "--after", onTime: () => {}, onEnd: () => {} });
  const play = element("button", { type: "button", textContent: "Play again" });
  play.onclick = () => track.surfer.playPause();
  find("say-report").textContent = [
    `${track.duration.toFixed(1)} s, seed ${report.seed}.`, ...report.warnings].join(" ");
  find("say-downloads").replaceChildren(play, download("Download the audio", blob, "speech.wav"));
}
