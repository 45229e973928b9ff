// Registered voices: which may be spoken in, with whose consent; kept, taken along as a file, taken back.

import { ask, form, json } from "./api.js";
import { clear, download, element, fail, find, whileBusy } from "./page.js";
import { asWav } from "./wav.js";

const WITHOUT = [404, 401, 403, 501]; // a server without a registry, or one that wants a token first
const known = new Map(); // name to voice

export function start() {
  find("voice").onchange = tell;
  find("new-voice").onsubmit = (event) => { event.preventDefault(); doing("add-voice", add); };
  find("import-voice").onsubmit = (event) => { event.preventDefault(); doing("bring-voice", bring); };
  find("export-voice").onclick = () => doing("export-voice", takeAlong);
  find("revoke-voice").onclick = () => doing("revoke-voice", revoke);
  refresh();
}

/** The name of the voice that is chosen. */
export const chosen = () => find("voice").value;

/** Asks for the voices again; only the model's own where no registry answers. */
export async function refresh(wanted = chosen()) {
  known.clear();
  try {
    for (const voice of (await json("/v1/audio/voices")).data) if (voice.state === "VOICE_STATE_ACTIVE") known.set(voice.name, voice);
  } catch (error) {
    if (!WITHOUT.includes(error.status)) fail("say-failure", error);
  }
  find("voice").replaceChildren(
    element("option", { value: "default", textContent: "a voice of the model's own" }),
    ...[...known.values()].map(({ name, consent }) => element("option", { value: name, textContent: `${name} (consent of ${consent.given_by})` })));
  if (known.has(wanted)) find("voice").value = wanted;
  tell();
}

/** Whose consent the chosen voice has, what for, and until when. */
function tell() {
  const voice = known.get(chosen());
  find("known-voice").hidden = !voice;
  if (!voice) return;
  const { given_by, give_time, purpose, expire_time } = voice.consent, day = (time) => new Date(time).toLocaleDateString();
  find("consent").textContent = `${given_by} agreed on ${day(give_time)}, for: ${purpose}${expire_time ? `, until ${day(expire_time)}` : ""}.`;
  find("voice-file-link").replaceChildren();
}

/** Does something about voices with its button held, and tells what failed. */
async function doing(button, work) {
  clear("say-failure");
  try {
    await whileBusy(button, work);
  } catch (error) {
    fail("say-failure", error);
  }
}

/** Keeps a voice under a name, with the consent of who speaks in it. */
async function add() {
  const body = form({
    name: find("voice-name").value, audio_sample: new File([await asWav(find("voice-file").files[0])], "voice.wav"),
    given_by: find("given-by").value, purpose: find("purpose").value, given_at: new Date().toISOString(),
    evidence: `Confirmed in the studio: ${find("agreed").labels[0].textContent.trim()}`,
  });
  const voice = await json("/v1/audio/voices", { method: "POST", body });
  find("new-voice").reset();
  await refresh(voice.name);
}

/** Keeps a voice from a file that was taken along, here or elsewhere; its consent is in it. */
async function bring() {
  const body = form({ file: find("exported-voice").files[0], name: find("imported-name").value });
  const voice = await json("/v1/audio/voices/import", { method: "POST", body });
  find("import-voice").reset();
  await refresh(voice.name);
  if (voice.warnings.length) find("consent").append(` Note: ${voice.warnings.join("; ")}.`);
}

async function takeAlong() {
  const name = chosen(), blob = await (await ask(`/v1/audio/voices/${name}/export`)).blob();
  find("voice-file-link").replaceChildren(download("Download the file", blob, `${name}.safetensors`));
}

async function revoke() {
  const name = chosen();
  if (!confirm(`Take the consent for the voice “${name}” back? It is never imitated again, and its recording is removed.`)) return;
  await json(`/v1/audio/voices/${name}/revoke`, { method: "POST" });
  await refresh();
}
