// Plays one of several equally long sounds, and switches to another at the same position.
//
// By ITU-R BS.1534-3 (section 5.3): the old sound fades out in 5 ms and the new one fades
// in within 5 ms after it, both along a raised cosine, without cross-fading; loops
// fade the same way at both ends and are at least 500 ms long.

const FADE_S = 0.005;
const SHORTEST_LOOP_S = 0.5;
const LEAD_S = 0.01; // Everything is scheduled so far ahead, so that no fade begins in the past.

const FADE_IN = Float32Array.from({ length: 65 }, (_, i) => 0.5 - 0.5 * Math.cos((Math.PI * i) / 64));
const FADE_OUT = FADE_IN.slice().reverse();

class Player {
  // context: an AudioContext at the rate of the sounds; changed: called when the state changes.
  constructor(context, changed = () => {}) {
    this.context = context;
    this.changed = changed;
    this.looping = true;
    this.put(new Map());
  }

  // Set the sounds: samples (Float32Array) by name. Playback stops; the loop is the whole sound.
  put(sounds) {
    this.pause();
    this.sounds = sounds;
    this.heard = new Map([...sounds.keys()].map((name) => [name, 0]));
    this.plays = new Map([...sounds.keys()].map((name) => [name, 0]));
    const samples = Math.min(...[...sounds.values()].map((sound) => sound.length));
    this.duration = sounds.size ? samples / this.context.sampleRate : 0;
    this.start = 0;
    this.end = this.duration;
    this.selected = null;
    this.resting = 0;
    this.changed();
  }

  get playing() {
    return this.voice != null;
  }

  // Position in seconds of the current or resumed playback.
  get position() {
    return this.voice ? this.positionAt(this.context.currentTime) : this.resting;
  }

  // Seconds for which a sound has been played.
  heardSeconds(name) {
    const now = this.voice && this.voice.name === name ? this.elapsed(this.context.currentTime) : 0;
    return this.heard.get(name) + now;
  }

  // Switch to a sound; it plays if another one was playing, or if `play` is set.
  select(name, play = this.playing) {
    if (name !== this.selected || !this.playing) {
      const from = this.silence();
      this.selected = name;
      if (play) this.sound(from);
    }
    this.changed();
  }

  play() {
    if (!this.playing && this.selected !== null) this.sound(this.silence());
    this.changed();
  }

  pause() {
    this.silence();
    if (this.sounds) this.changed();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  seek(position) {
    const playing = this.playing;
    const at = this.silence().at;
    this.resting = this.inside(position);
    if (playing) this.sound({ at, position: this.resting });
    this.changed();
  }

  // Loop from `start` to `end` (seconds), widened to at least half a second.
  setRegion(start, end) {
    const playing = this.playing;
    const from = this.silence();
    const length = Math.min(Math.max(end - start, SHORTEST_LOOP_S), this.duration);
    this.start = Math.min(Math.max(start, 0), this.duration - length);
    this.end = this.start + length;
    this.resting = this.inside(from.position);
    if (playing) this.sound({ at: from.at, position: this.resting });
    this.changed();
  }

  setLooping(looping) {
    const playing = this.playing;
    const from = this.silence();
    this.looping = looping;
    if (playing) this.sound(from);
    this.changed();
  }

  inside(position) {
    return position >= this.start && position < this.end ? position : this.start;
  }

  elapsed(time) {
    return Math.max(0, time - this.voice.at);
  }

  positionAt(time) {
    const length = this.end - this.start;
    const passed = this.voice.from - this.start + this.elapsed(time);
    return this.start + (this.looping ? passed % length : Math.min(passed, length));
  }

  // Fade out the playing sound; returns time and position for resuming: { at, position }.
  silence() {
    const soon = this.context.currentTime + LEAD_S;
    const voice = this.voice;
    if (!voice) return { at: soon, position: this.resting };
    const fade = Math.max(soon, voice.at + 2 * FADE_S); // Not before it has faded in.
    voice.gain.gain.setValueCurveAtTime(FADE_OUT, fade, FADE_S);
    voice.source.stop(fade + FADE_S);
    const position = this.positionAt(fade + FADE_S);
    this.heard.set(voice.name, this.heard.get(voice.name) + this.elapsed(fade + FADE_S));
    this.voice = null;
    this.resting = this.inside(position);
    return { at: fade + FADE_S, position: this.resting };
  }

  // Start the selected sound at a context time, from a position.
  sound({ at, position }) {
    const from = this.inside(position);
    const source = new AudioBufferSourceNode(this.context, {
      buffer: this.region(this.selected),
      loop: this.looping,
    });
    const gain = new GainNode(this.context, { gain: 0 });
    gain.gain.setValueCurveAtTime(FADE_IN, at, FADE_S);
    source.connect(gain).connect(this.context.destination);
    source.start(at, from - this.start);
    const voice = { source, gain, at, from, name: this.selected };
    source.onended = () => {
      source.disconnect();
      gain.disconnect();
      if (this.voice === voice) this.finish();
    };
    this.voice = voice;
    this.plays.set(this.selected, this.plays.get(this.selected) + 1);
  }

  // A sound without loop has ended: the next playback starts from the beginning.
  finish() {
    const voice = this.voice;
    this.heard.set(voice.name, this.heard.get(voice.name) + this.end - voice.from);
    this.voice = null;
    this.resting = this.start;
    this.changed();
  }

  // The samples of the loop, with faded ends.
  region(name) {
    const rate = this.context.sampleRate;
    const first = Math.round(this.start * rate);
    const samples = this.sounds.get(name).slice(first, Math.round(this.end * rate));
    const fade = Math.min(Math.round(FADE_S * rate), samples.length >> 1);
    for (let i = 0; i < fade; i++) {
      const gain = 0.5 - 0.5 * Math.cos((Math.PI * (i + 0.5)) / fade);
      samples[i] *= gain;
      samples[samples.length - 1 - i] *= gain;
    }
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
    buffer.copyToChannel(samples, 0);
    return buffer;
  }
}
