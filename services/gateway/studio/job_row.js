// One job on the page: its state and its items, changed in place, so that focus and players stay where they are.

import { download, element } from "./page.js";

const ENDED = ["succeeded", "failed", "cancelled"];

export class JobRow {
  /** `does` has what the row's buttons do: cancel(), remove(), and fetchAudio(item), which gives a blob or nothing. */
  constructor(does) {
    this.does = does;
    this.revision = null;
    this.lines = new Map(); // item's index to { element, revision }
    this.state = element("span", { role: "status" });
    this.hint = element("span", { className: "hint" });
    this.button = element("button", { type: "button" });
    this.bar = element("progress", { max: 1 });
    this.items = element("ul");
    this.element = element("li", {},
      element("div", { className: "row" }, this.state, this.hint, element("div", { className: "row end" }, this.button)), this.bar, this.items);
  }

  /** The job with all its items, as it is now. */
  draw(job) {
    this.revision = job.revision;
    const name = job.id.slice(0, 8), hasEnded = ENDED.includes(job.status);
    this.state.className = `state ${job.status}`;
    if (this.state.textContent !== job.status) this.state.textContent = job.status; // told to who listens once
    this.hint.textContent = `${job.counts.succeeded} of ${job.counts.total} done · ${name} · ${new Date(job.create_time).toLocaleTimeString()}`;
    this.bar.hidden = hasEnded;
    this.bar.value = job.fraction;
    this.bar.setAttribute("aria-label", `Progress of job ${name}`);
    this.button.textContent = hasEnded ? "Remove" : "Cancel";
    this.button.setAttribute("aria-label", `${this.button.textContent} job ${name}`);
    this.button.onclick = hasEnded ? this.does.remove : this.does.cancel;
    for (const item of job.items) this.line(name, item);
  }

  line(name, item) {
    const known = this.lines.get(item.index);
    if (known?.revision === item.revision) return;
    const made = element("li", {}, ...this.parts(name, item));
    if (known) known.element.replaceWith(made);
    else this.items.append(made);
    this.lines.set(item.index, { element: made, revision: item.revision });
  }

  parts(name, item) {
    const status = item.state.replace("EDIT_JOB_STATE_", "").toLowerCase();
    const what = `${item.spec.label || `recording ${item.index + 1}`}: ${item.spec.edits.map((edit) => edit.instruction).join(", then ")}`;
    const parts = [`${what} – `, element("span", { className: `state ${status}`, textContent: status })];
    if (status === "failed") parts.push(` ${item.error?.message ?? ""}`);
    if (status === "succeeded") {
      const button = element("button", { type: "button", textContent: "Fetch the audio" });
      button.onclick = () => this.fetched(name, item, button);
      parts.push(" ", button);
    }
    return parts;
  }

  /** Puts a player and a link in the button's place. */
  async fetched(name, item, button) {
    button.disabled = true;
    const blob = await this.does.fetchAudio(item);
    button.disabled = false;
    if (!blob) return;
    const player = element("audio", { controls: true, src: URL.createObjectURL(blob) });
    button.replaceWith(player, " ", download("Download", blob, `${name}-${item.index}.wav`));
  }
}
