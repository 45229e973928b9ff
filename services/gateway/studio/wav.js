// Sound between the browser's forms and the files that the API takes and gives.

export const HEADER_BYTES = 44;

/** A mono 16-bit WAV of what the browser can decode: what its own recorder writes, the API does not take. */
export async function asWav(blob) {
  const context = new OfflineAudioContext(1, 1, 48000);
  const sound = await context.decodeAudioData(await blob.arrayBuffer());
  const mono = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const samples = sound.getChannelData(channel);
    for (let i = 0; i < samples.length; i++) mono[i] += samples[i] / sound.numberOfChannels;
  }
  const bytes = new DataView(new ArrayBuffer(HEADER_BYTES + 2 * mono.length));
  wavHeader(bytes, sound.sampleRate, 2 * mono.length);
  mono.forEach((sample, i) => bytes.setInt16(HEADER_BYTES + 2 * i, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new Blob([bytes], { type: "audio/wav" });
}

/** Pieces of a WAV that was streamed, as one file with its true length in the header. */
export function wholeWav(pieces) {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) { bytes.set(piece, at); at += piece.length; }
  const view = new DataView(bytes.buffer);
  view.setUint32(4, size - 8, true);
  view.setUint32(40, size - HEADER_BYTES, true);
  return new Blob([bytes], { type: "audio/wav" });
}

function wavHeader(bytes, sampleRate, size) {
  const text = (at, letters) => [...letters].forEach((letter, i) => bytes.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"); bytes.setUint32(4, 36 + size, true); text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true); bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true);
  bytes.setUint32(24, sampleRate, true); bytes.setUint32(28, 2 * sampleRate, true);
  bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true);
  text(36, "data"); bytes.setUint32(40, size, true);
}

/** Plays 16-bit samples as they arrive, each piece right after the one before. */
export class LivePlayer {
  constructor(sampleRate) {
    this.context = new AudioContext({ sampleRate });
    this.until = 0;
  }

  add(bytes) {
    const samples = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
    if (!samples.length) return;
    const piece = this.context.createBuffer(1, samples.length, this.context.sampleRate);
    const channel = piece.getChannelData(0);
    for (let i = 0; i < samples.length; i++) channel[i] = samples[i] / 32768;
    const source = this.context.createBufferSource();
    source.buffer = piece;
    source.connect(this.context.destination);
    this.until = Math.max(this.until, this.context.currentTime + 0.05);
    source.start(this.until);
    this.until += piece.duration;
  }

  /** Lets what came sound to its end, and gives the sound card back. */
  finish() { setTimeout(() => this.stop(), 1000 * Math.max(0, this.until - this.context.currentTime)); }

  stop() { if (this.context.state !== "closed") this.context.close(); }
}
