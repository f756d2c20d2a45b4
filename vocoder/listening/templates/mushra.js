// A trial of MUSHRA: the open reference, and hidden sounds with a slider each.

const shuffledTrials = (trials, random) =>
  shuffled(trials, random).map((trial) => ({ ...trial, order: shuffled(trial.stimuli, random) }));

const mushra = {
  practice: (description, random) => shuffledTrials(description.training, random),
  plan: (description, random) => shuffledTrials(description.trials, random),
  sounds: (trial) => Object.fromEntries([trial.reference, ...trial.order].map((id) => [id, id])),
  picture: (trial) => trial.reference,

  show(session) {
    const { order, reference } = session.trial;
    const { scratch } = session.state;
    scratch.scores ??= {};
    const columns = [
      column(session, reference, "Ref", null),
      ...order.map((name, i) => column(session, name, String(i + 1), scratch.scores[name] ?? null)),
    ];
    byId("stimuli").replaceChildren(...columns);
  },

  update(session) {
    const { player } = session;
    for (const part of byId("stimuli").children) {
      const { name } = part.dataset;
      const active = name === player.selected;
      part.classList.toggle("active", active);
      part.classList.toggle("playing", active && player.playing);
      part.classList.toggle("heard", session.hasHeard(name));
      part.querySelector("button").setAttribute("aria-pressed", String(active));
      const slider = part.querySelector("input");
      // Only the playing sound can be graded, so that no grade goes to another sound.
      if (slider) slider.disabled = !active;
    }
  },

  missing(session) {
    const { order, reference } = session.trial;
    const { scores } = session.state.scratch;
    const unheard = listed(order, (name) => !session.hasHeard(name));
    const ungraded = listed(order, (name) => !(name in scores));
    if (!session.hasHeard(reference)) unheard.unshift("reference");
    const parts = [];
    if (unheard.length) parts.push(`Still to hear: ${unheard.join(", ")}.`);
    if (ungraded.length) parts.push(`Still to grade: ${ungraded.join(", ")}.`);
    return parts.join(" ");
  },

  answer(session) {
    const { trial, order } = session.trial;
    return { trial, order, scores: session.state.scratch.scores };
  },

  key(session, key) {
    const { reference, order } = session.trial;
    const all = [reference, ...order];
    const at = all.indexOf(session.player.selected);
    const hear = (place) => () => session.player.select(all[place], true);
    const grade = (change) => () => change && gradeBy(session, change);
    if (key === "r") return hear(0);
    if (/^\d$/.test(key) && Number(key) < all.length) return hear(Number(key));
    const keys = {
      ArrowLeft: hear(Math.max(at - 1, 0)),
      ArrowRight: hear(Math.min(at + 1, all.length - 1)),
      ArrowUp: grade(1),
      ArrowDown: grade(-1),
      PageUp: grade(10),
      PageDown: grade(-10),
      Home: grade(-100),
      End: grade(100),
    };
    return keys[key];
  },
};

// The numbers of the missing sounds, with ranges abbreviated: "2", "4–9".
function listed(order, wanted) {
  const runs = [];
  order.forEach((name, i) => {
    if (!wanted(name)) return;
    const last = runs.at(-1);
    if (last && last.to === i) last.to = i + 1;
    else runs.push({ from: i + 1, to: i + 1 });
  });
  return runs.map(({ from, to }) => (from === to ? String(from) : `${from}–${to}`));
}

// One sound: its button, and its slider if it is graded.
function column(session, name, label, score) {
  const part = document.createElement("div");
  part.className = "stimulus";
  part.dataset.name = name;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.setAttribute("aria-label", label === "Ref" ? "Reference" : `Sound ${label}`);
  const hear = () => {
    const { player } = session;
    if (player.selected === name && player.playing) player.pause();
    else player.select(name, true);
  };
  button.addEventListener("click", hear);
  part.append(button);
  if (label === "Ref") {
    part.classList.add("reference");
    return part;
  }
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, step: 1, value: score ?? 0, disabled: true });
  slider.setAttribute("aria-label", `Grade of sound ${label}`);
  const track = document.createElement("div");
  track.className = "track";
  track.append(slider);
  const grade = document.createElement("output");
  part.append(track, grade);
  showGrade(part, score);
  // Touching a slider grades the sound, even at 0.
  for (const kind of ["input", "change", "pointerup"]) {
    slider.addEventListener(kind, () => setGrade(session, part, Number(slider.value)));
  }
  // The sliders of other sounds are disabled; a click switches to that sound.
  track.addEventListener("click", () => slider.disabled && hear());
  return part;
}

function showGrade(part, score) {
  part.classList.toggle("graded", score !== null);
  part.querySelector("output").textContent = score ?? "–";
}

function setGrade(session, part, score) {
  session.state.scratch.scores[part.dataset.name] = score;
  session.save();
  showGrade(part, score);
  session.update();
}

function gradeBy(session, change) {
  const part = byId("stimuli").querySelector(".stimulus.active:not(.reference)");
  if (!part) return;
  const slider = part.querySelector("input");
  slider.value = Number(slider.value) + change; // The slider keeps it within its range.
  setGrade(session, part, Number(slider.value));
}

const session = new Session(mushra);
