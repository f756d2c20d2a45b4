// Shared by all listening tests: participant, order, draft, sounds, screens and the answer file.
//
// A kind of test provides
//   plan(description, random): the trials in the order of this participant, without the training;
//   practice(description, random): those of the training;
//   sounds(trial): the file of each sound of a trial, by its name there, the first one first;
//   picture(trial): the name of the one whose waveform is shown;
//   show(session), update(session), key(session, event): its part of the screen;
//   missing(session): remaining tasks, as text; answer(session): the recorded answer.

const VERSION = 1;
const byId = (id) => document.getElementById(id);
const received = new Map();

// Called by the sounds' scripts: 16-bit samples in base64.
function receiveSound(name, text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  received.set(name, Float32Array.from(new Int16Array(bytes.buffer), (value) => value / 32768));
}

const loading = new Map();
function loadSound(name) {
  if (!loading.has(name)) {
    const script = document.createElement("script");
    script.src = `stimuli/${name}.js`;
    const loaded = new Promise((resolve, reject) => {
      script.onload = () => {
        const samples = received.get(name);
        received.delete(name);
        script.remove();
        if (samples) resolve(samples);
        else reject(new Error(`stimuli/${name}.js holds no sound`));
      };
      script.onerror = () => {
        loading.delete(name);
        reject(new Error(`stimuli/${name}.js cannot be loaded`));
      };
    });
    loading.set(name, loaded);
    document.head.append(script);
  }
  return loading.get(name);
}

function say(problem) {
  byId("problem").textContent = problem;
  byId("problem").hidden = false;
}

class Session {
  constructor(kind) {
    this.kind = kind;
    this.description = JSON.parse(byId("description").textContent);
    this.storageKey = `vocoder-listening-test ${this.description.test}`;
    this.player = null;
    this.state = this.readDraft();
    this.wire();
    this.open();
  }

  // -- draft ------------------------------------------------------------------------------------

  readDraft() {
    try {
      return JSON.parse(localStorage.getItem(this.storageKey));
    } catch (error) {
      say(`This browser keeps nothing (${error.message}): do not reload the page before the end.`);
      return null;
    }
  }

  save() {
    try {
      if (this.state) localStorage.setItem(this.storageKey, JSON.stringify(this.state));
      else localStorage.removeItem(this.storageKey);
    } catch (error) {
      say(`This browser keeps nothing (${error.message}): do not reload the page before the end.`);
    }
  }

  // -- screens ----------------------------------------------------------------------------------

  open() {
    if (this.state && this.state.step >= this.order().length) return this.finish();
    byId("resume").hidden = !this.state;
    byId("about").hidden = Boolean(this.state);
    if (this.state) {
      byId("resume-name").textContent = this.state.participant;
      byId("resume-where").textContent = `You had come to ${this.where().toLowerCase()}.`;
    }
    this.screen("welcome");
  }

  screen(name) {
    for (const id of ["welcome", "between", "trial", "finished"]) byId(id).hidden = id !== name;
    byId("progress").hidden = name === "welcome" || name === "finished";
    this.showing = name;
    window.scrollTo(0, 0);
  }

  // The trials of this participant, training first; the seed alone decides.
  order() {
    const random = randomFrom(this.state.seed);
    const training = this.kind.practice(this.description, random);
    const trials = this.kind.plan(this.description, random);
    this.training = training.length;
    return [...training, ...trials];
  }

  where() {
    const trials = this.order().length - this.training;
    const step = this.state.step;
    if (step < this.training) return `Training ${step + 1} of ${this.training}`;
    return `Trial ${step - this.training + 1} of ${trials}`;
  }

  begin(form) {
    if (this.showing !== "welcome") return undefined;
    const wanted = new URLSearchParams(location.search).get("seed");
    const drawn = crypto.getRandomValues(new Uint32Array(1))[0];
    this.state = {
      participant: form.get("participant"),
      device: form.get("device"),
      experienced: form.get("experienced") === "yes",
      seed: /^\d{1,9}$/.test(wanted ?? "") ? Number(wanted) : drawn,
      started: new Date().toISOString(),
      finished: null,
      step: 0,
      answers: [],
      scratch: {},
    };
    this.save();
    return this.enter();
  }

  async enter() {
    this.listen();
    this.showing = "loading"; // Keys and clicks wait for the sounds.
    const order = this.order();
    this.trial = order[this.state.step];
    const files = Object.entries(this.kind.sounds(this.trial));
    const sounds = files.map(async ([name, file]) => [name, await loadSound(file)]);
    this.player.put(new Map(await Promise.all(sounds)));
    this.waveform.show(this.player.sounds.get(this.kind.picture(this.trial)));
    this.entered = performance.now();
    byId("progress-text").textContent = this.where();
    byId("progress-bar").value = this.state.step / order.length;
    byId("training-note").hidden = this.state.step >= this.training;
    this.kind.show(this);
    this.screen("trial");
    this.update();
    this.prepare(order);
  }

  // Preload the next trial's sounds, and drop the others.
  prepare(order) {
    const next = order[this.state.step + 1];
    const trials = next ? [this.trial, next] : [this.trial];
    const wanted = trials.flatMap((trial) => Object.values(this.kind.sounds(trial)));
    for (const file of [...loading.keys()]) if (!wanted.includes(file)) loading.delete(file);
    for (const file of wanted) loadSound(file).catch((error) => say(error.message));
  }

  next() {
    if (this.showing !== "trial") return undefined;
    if (this.kind.missing(this)) return byId("missing").classList.add("urgent");
    const { state } = this;
    const seconds = (performance.now() - this.entered) / 1000 + (state.scratch.seconds ?? 0);
    this.player.pause();
    if (state.step >= this.training) {
      const plays = Object.fromEntries(this.player.plays);
      const answer = this.kind.answer(this);
      state.answers.push({ ...answer, plays, seconds: Math.round(seconds * 10) / 10 });
    }
    state.step += 1;
    state.scratch = {};
    const order = this.order();
    if (state.step === order.length) state.finished = new Date().toISOString();
    this.save();
    if (state.step === order.length) return this.finish();
    if (state.step === this.training) return this.screen("between");
    return this.enter();
  }

  finish() {
    byId("comment").value = this.state.comment ?? "";
    this.screen("finished");
  }

  download() {
    this.state.comment = byId("comment").value.trim();
    this.save();
    const { participant, device, experienced, seed, started, finished, comment } = this.state;
    const { kind, test } = this.description;
    const file = {
      format: "vocoder-listening-answers", version: VERSION, kind, test, participant, device,
      experienced, seed, started, finished, comment, trials: this.state.answers,
    };
    const blob = new Blob([JSON.stringify(file, null, 1)], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${kind}-${test}-${participant}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    byId("another").disabled = false;
  }

  // -- sound ------------------------------------------------------------------------------------

  // Browsers allow audio only after a user gesture, so this is called by clicks only.
  listen() {
    if (!this.player) {
      const context = new AudioContext({ sampleRate: this.description.sampleRate });
      this.player = new Player(context, () => this.update());
      this.waveform = new Waveform(byId("waveform"), this.player);
    }
    this.player.context.resume();
  }

  async sample() {
    this.listen();
    if (this.player.playing) return this.player.pause();
    const first = this.description.training[0] ?? this.description.trials[0];
    const name = first.reference ?? first.stimuli[0];
    this.player.put(new Map([[name, await loadSound(name)]]));
    this.player.select(name, true);
  }

  // -- events -----------------------------------------------------------------------------------

  wire() {
    const safely = (action) => async (event) => {
      try {
        await action(event);
      } catch (error) {
        say(`${error.message}. Your answers so far are kept: reload the page to go on.`);
      }
    };
    const click = (id, action) => byId(id).addEventListener("click", safely(action));
    byId("about").addEventListener("submit", (event) => event.preventDefault());
    byId("about").addEventListener("submit", safely((event) => this.begin(new FormData(event.target))));
    click("sample", () => this.sample());
    click("continue", () => this.enter());
    click("discard", () => {
      if (confirm(`Discard the answers of ${this.state.participant}?`)) this.reset();
    });
    click("go-on", () => this.enter());
    click("play", () => this.play());
    click("loop", () => this.player.setLooping(!this.player.looping));
    click("loop-start", () => this.player.setRegion(this.player.position, this.player.end));
    click("loop-end", () => this.player.setRegion(this.player.start, this.player.position));
    click("loop-all", () => this.player.setRegion(0, this.player.duration));
    click("next", () => this.next());
    click("download", () => this.download());
    click("another", () => this.reset());
    // Mouse clicks do not keep the focus, so that Space and Enter stay available.
    byId("trial").addEventListener("click", (event) => {
      const control = event.target.closest("button, summary");
      if (control && event.detail > 0) control.blur();
    });
    document.addEventListener("keydown", safely((event) => this.key(event)));
    window.addEventListener("resize", () => this.waveform && this.waveform.draw());
    window.addEventListener("pagehide", () => this.keepTime());
    const tick = () => {
      if (this.player && this.player.playing) this.update();
      requestAnimationFrame(tick);
    };
    tick();
  }

  reset() {
    this.state = null;
    this.save();
    byId("about").reset();
    byId("another").disabled = true;
    this.open();
  }

  // The time spent on a trial continues after a reload.
  keepTime() {
    if (this.showing !== "trial") return;
    const { scratch } = this.state;
    scratch.seconds = (scratch.seconds ?? 0) + (performance.now() - this.entered) / 1000;
    this.save();
  }

  // Play the selected sound, or the first one without a selection.
  play() {
    const [first] = Object.keys(this.kind.sounds(this.trial));
    if (this.player.selected === null) this.player.select(first, true);
    else this.player.toggle();
  }

  key(event) {
    const { target } = event;
    if (this.showing !== "trial" || event.ctrlKey || event.metaKey || event.altKey) return undefined;
    // A button and a summary have their own meaning of Enter and Space.
    if (target.closest("button, summary") && ["Enter", " "].includes(event.key)) return undefined;
    const actions = {
      " ": () => this.play(),
      l: () => this.player.setLooping(!this.player.looping),
      "[": () => this.player.setRegion(this.player.position, this.player.end),
      "]": () => this.player.setRegion(this.player.start, this.player.position),
      w: () => this.player.setRegion(0, this.player.duration),
      Enter: () => this.next(),
    };
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = this.kind.key(this, name) ?? actions[name];
    if (!action) return undefined;
    event.preventDefault();
    return action();
  }

  update() {
    if (!this.player) return;
    const { player } = this;
    byId("sample").textContent = player.playing ? "Stop" : "Play a sound";
    if (this.showing !== "trial") return;
    byId("play").textContent = player.playing ? "Pause" : "Play";
    byId("loop").setAttribute("aria-pressed", String(player.looping));
    byId("clock").textContent = `${player.position.toFixed(1)} / ${player.duration.toFixed(1)} s`;
    this.waveform.draw();
    this.kind.update(this);
    const missing = this.kind.missing(this);
    if (byId("missing").textContent !== missing) {
      byId("missing").textContent = missing;
      byId("missing").classList.remove("urgent");
    }
    byId("next").setAttribute("aria-disabled", String(Boolean(missing)));
  }

  // Whether a sound was played long enough for grading, now or before a reload.
  hasHeard(name) {
    const { scratch } = this.state;
    scratch.heard ??= [];
    if (scratch.heard.includes(name)) return true;
    const enough = Math.min(this.description.mustHear, this.player.duration);
    if (this.player.heardSeconds(name) < enough - 0.001) return false;
    scratch.heard.push(name);
    this.save();
    return true;
  }
}
