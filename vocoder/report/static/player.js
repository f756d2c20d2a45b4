// One transport for several recordings of the same utterance. All play simultaneously and only
// one is audible, so that switching needs no seeking and leaves no gap.

const ALIGN_EVERY_MS = 60;
const IN_STEP_S = 0.004; // nearer than this needs no correction
const OUT_OF_REACH_S = 0.25; // farther than this is not caught up but jumped over
const CATCH_UP = 0.3; // at most so much faster or slower, while nobody hears it
const CATCH_UP_PER_S = 2.5; // speed for each second of lag
const STEP_S = 0.03; // a switch waits until both are so near to each other,
const PATIENCE_MS = 1000; // but no longer than this
const READY_WITHIN_MS = 4000;
// Inaudible sounds play at -100 dB. Chromium gives a muted sound, or one of volume 0, another
// clock, and changing back takes at least 30 ms.
const QUIET = 1e-5;

class Player {
  // host: element that holds the audio elements. changed(player): called on every change of state.
  constructor(host, changed, failed) {
    this.host = host;
    this.changed = changed;
    this.failed = failed;
    this.sounds = [];
    this.active = 0; // the system that was chosen
    this.heard = 0; // the one that is still heard while the other comes into step
    this.loop = false;
    this.playing = false; // wanted
    this.running = false; // begun
    this.place = 0;
    this.generation = 0;
  }

  // sources: a URL for each system, or null. Nothing is fetched before the first play().
  load(sources, active) {
    this.unload();
    this.sounds = sources.map((source, index) => source === null ? null : this.make(source, index));
    this.active = this.heard = active;
    this.place = 0;
    this.changed(this);
  }

  unload() {
    this.stop();
    this.generation += 1;
    for (const sound of this.sounds) {
      if (sound === null) continue;
      sound.onerror = sound.onended = null;
      sound.removeAttribute("src");
      sound.load();
      sound.remove();
    }
    this.sounds = [];
  }

  make(source, index) {
    const sound = document.createElement("audio");
    sound.preload = "none";
    sound.src = source;
    setHeard(sound, false);
    // Pitch-preserving stretching is expensive, and only needed for inaudible sounds.
    sound.preservesPitch = false;
    sound.onended = () => { if (index === this.heard && this.playing) this.end(); };
    sound.onerror = () => this.failed(index);
    this.host.append(sound);
    return sound;
  }

  get leader() { return this.sounds[this.heard] ?? null; }

  position() {
    return this.running && this.leader ? this.leader.currentTime : this.place;
  }

  async play() {
    if (this.playing || !this.sounds[this.active]) return;
    const generation = ++this.generation;
    this.playing = true;
    this.changed(this);
    const there = this.sounds.filter((sound) => sound !== null);
    await Promise.all(there.map(ready));
    if (generation !== this.generation) return;
    this.switchOver();
    for (const sound of there) {
      sound.playbackRate = 1;
      if (Math.abs(sound.currentTime - this.place) > 0.001) sound.currentTime = this.place;
    }
    await Promise.all(there.map(settled));
    if (generation !== this.generation) return;
    // Only the audible sound must have started; the others synchronise later.
    const begun = there.map((sound) => sound.play().then(() => true, () => false));
    const heard = await begun[there.indexOf(this.leader)];
    if (generation !== this.generation) return;
    if (!heard) {
      this.stop();
      this.failed(this.heard);
      return;
    }
    this.running = true;
    this.timer = setInterval(() => this.align(), ALIGN_EVERY_MS);
  }

  stop() {
    this.place = this.position();
    this.generation += 1;
    this.playing = this.running = false;
    clearInterval(this.timer);
    for (const sound of this.sounds) sound?.pause();
    this.switchOver();
    this.changed(this);
  }

  toggle() { if (this.playing) this.stop(); else this.play(); }

  seek(seconds) {
    const resume = this.playing;
    this.stop();
    this.place = Math.max(0, seconds);
    this.changed(this);
    if (resume) this.play();
  }

  // Switch to another system at the same position.
  choose(index) {
    if (this.sounds[index] == null || index === this.active) return;
    this.active = index;
    this.since = performance.now();
    if (this.running) this.align();
    else this.switchOver();
    this.changed(this);
  }

  switchOver() {
    this.heard = this.active;
    this.sounds.forEach((sound, index) => { if (sound) setHeard(sound, index === this.heard); });
    if (this.leader) this.leader.playbackRate = 1;
  }

  // Inaudible sounds follow the audible one. The chosen sound becomes audible as soon as it
  // is synchronous: seeking would leave a gap, and an asynchronous switch would be audible.
  align() {
    const now = this.leader.currentTime;
    this.sounds.forEach((sound, index) => {
      if (sound === null || index === this.heard || sound.seeking) return;
      const behind = now - sound.currentTime;
      const wanted = index === this.active;
      if (sound.ended && now < sound.duration - STEP_S) {
        sound.currentTime = now;
        sound.play().catch(() => this.failed(index));
      } else if (wanted && (Math.abs(behind) < STEP_S || sound.ended
          || performance.now() - this.since > PATIENCE_MS)) {
        this.switchOver();
        if (sound.ended) this.end();
      } else if (Math.abs(behind) > OUT_OF_REACH_S) {
        sound.currentTime = now;
      } else {
        const speed = Math.max(-CATCH_UP, Math.min(CATCH_UP, CATCH_UP_PER_S * behind));
        sound.playbackRate = Math.abs(behind) < IN_STEP_S ? 1 : 1 + speed;
      }
    });
  }

  end() {
    this.stop();
    this.place = 0;
    this.changed(this);
    if (this.loop) this.play();
  }
}

// If scripts cannot set the volume (on iOS), sounds are muted.
function setHeard(sound, heard) {
  sound.volume = heard ? 1 : QUIET;
  sound.muted = !heard && sound.volume === 1;
}

// Resolves when an element can play, fails, or times out.
function ready(sound) {
  if (sound.readyState >= 3 || sound.error) return null;
  return first(sound, ["canplay", "error"], () => { sound.preload = "auto"; sound.load(); });
}

function settled(sound) {
  return sound.seeking ? first(sound, ["seeked", "error"], () => {}) : null;
}

function first(sound, events, begin) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, READY_WITHIN_MS);
    function done() {
      clearTimeout(timer);
      for (const event of events) sound.removeEventListener(event, done);
      resolve();
    }
    for (const event of events) sound.addEventListener(event, done);
    begin();
  });
}
