// Recordings drawn on one scale and played one at a time, so that before and after can be compared by eye and ear.

import WaveSurfer from "./vendor/wavesurfer.esm.js";
import Regions from "./vendor/plugins/regions.esm.js";
import Spectrogram from "./vendor/plugins/spectrogram.esm.js";
import Timeline from "./vendor/plugins/timeline.esm.js";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** One recording: its waveform, marked ranges, and spectrogram on demand. */
export class Track {
  constructor(container, wave) {
    this.container = container;
    this.wave = wave;
    this.surfer = null;
    this.duration = 0;
    this.ranges = [];
  }

  /** Draws a recording of `duration` seconds on a scale of `longest` seconds; empties the track without one. */
  async show(blob, longest, ranges, { spectrogram, waveColor, onTime, onEnd }) {
    this.surfer?.destroy();
    this.surfer = null;
    this.wave.replaceChildren();
    this.container.hidden = !blob;
    if (!blob) return;
    const regions = Regions.create();
    this.wave.style.width = `${Math.max(2, (100 * this.duration) / longest)}%`;
    this.surfer = WaveSurfer.create({
      container: this.wave,
      height: 72,
      waveColor: color(waveColor),
      progressColor: color("--ink"),
      cursorColor: color("--bad"),
      normalize: false,
      dragToSeek: true,
      sampleRate: 16000,
      plugins: [
        regions,
        Timeline.create({ height: 16, style: { color: color("--soft"), fontSize: "11px" } }),
        ...(spectrogram ? [Spectrogram.create({ height: 128, fftSamples: 512, scale: "mel", frequencyMax: 8000, labels: false })] : []),
      ],
    });
    this.surfer.on("timeupdate", onTime);
    this.surfer.on("interaction", onTime);
    this.surfer.on("finish", onEnd);
    await this.surfer.loadBlob(blob);
    for (const { start, end } of ranges) {
      if (end - start > 0.98 * this.duration) continue; // a mark over everything marks nothing
      regions.addRegion({ start, end: Math.max(end, start + 0.02), color: color("--mark"), drag: false, resize: false });
    }
  }

  /** By the media element itself: wavesurfer's setTime forgets a place that is given while it goes to another. */
  goTo(time) {
    if (this.surfer) this.surfer.getMediaElement().currentTime = time;
  }
}

/** Before and after. `onChange` is told whenever what is heard, where, or whether changes. */
export class TimeLine {
  constructor(before, after, onChange) {
    this.tracks = { before, after };
    this.heard = "after";
    this.onChange = onChange;
    this.spectrogram = false;
    this.shown = null;
    this.drawn = Promise.resolve();
    this.ready = false; // to be played: what is being drawn would forget what was pressed meanwhile
  }

  get track() { return this.tracks[this.heard]; }
  get isPlaying() { return Boolean(this.track.surfer?.isPlaying()); }
  get time() { return this.track.surfer?.getCurrentTime() ?? 0; }
  get hasBoth() { return Boolean(this.ready && this.tracks.before.surfer && this.tracks.after.surfer); }

  /** Shows two recordings, or one as "before" and nothing after it, once what was asked before is drawn. */
  show(before, after, ranges) {
    this.shown = [before, after, ranges];
    this.drawn = this.drawn.catch(() => {}).then(() => this.draw(before, after, ranges));
    return this.drawn;
  }

  redraw() { return this.shown ? this.show(...this.shown) : this.drawn; }

  async draw(before, after, ranges) {
    const { before: a, after: b } = this.tracks;
    this.ready = false;
    this.onChange();
    [a.duration, b.duration] = await Promise.all([seconds(before), seconds(after)]);
    const longest = Math.max(a.duration, b.duration);
    const wired = (name) => ({
      spectrogram: this.spectrogram,
      waveColor: name === "before" ? "--wave" : "--after",
      onTime: () => { if (this.heard !== name && !this.isPlaying) this.heard = name; this.onChange(); },
      onEnd: () => this.onChange(),
    });
    await Promise.all([
      a.show(before, longest, ranges.map((r) => r.source), wired("before")),
      b.show(after, longest, ranges.map((r) => r.result), wired("after")),
    ]);
    this.heard = after ? "after" : "before";
    this.ready = true;
    this.onChange();
  }

  async toggle() {
    if (!this.ready) return;
    await this.track.surfer?.playPause();
    this.onChange();
  }

  pause() { for (const track of Object.values(this.tracks)) track.surfer?.pause(); this.onChange(); }

  /** Goes forth, or back with a negative number of seconds. */
  move(by) {
    if (!this.ready) return;
    this.track.goTo(Math.max(0, Math.min(this.time + by, this.track.duration)));
    this.onChange();
  }

  /** Goes to the other recording at the same place. */
  async swap() {
    if (!this.hasBoth) return;
    const { isPlaying, time } = this;
    this.track.surfer.pause();
    this.heard = this.heard === "after" ? "before" : "after";
    this.track.goTo(Math.min(time, this.track.duration));
    if (isPlaying) await this.track.surfer.play();
    this.onChange();
  }
}

/** How long a recording is, as the browser decodes it; 0 for none. */
export async function seconds(blob) {
  if (!blob) return 0;
  const context = new OfflineAudioContext(1, 1, 16000);
  return (await context.decodeAudioData(await blob.arrayBuffer())).duration;
}
