// A trial of ABX: sounds A and B, and X, which is one of them.

function toss(trials, repeats, random) {
  const all = trials.flatMap((trial) => Array(repeats).fill(trial));
  return shuffled(all, random).map((trial) => {
    const [a, b] = shuffled(trial.stimuli, random);
    return { trial: trial.trial, a, b, x: random() < 0.5 ? a : b };
  });
}

const LABELS = { a: "A", x: "X", b: "B" };

const abx = {
  practice: (description, random) => toss(description.training, 1, random),
  plan: (description, random) => toss(description.trials, description.repeats, random),
  sounds: ({ a, x, b }) => ({ a, x, b }),
  picture: () => "a",

  show(session) {
    const buttons = Object.entries(LABELS).map(([role, label]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "stimulus";
      button.dataset.role = role;
      button.textContent = label;
      button.setAttribute("aria-keyshortcuts", label);
      button.addEventListener("click", () => hear(session, role, true));
      return button;
    });
    byId("stimuli").replaceChildren(...buttons);
    for (const radio of byId("choices").querySelectorAll("input")) {
      radio.checked = radio.value === session.state.scratch.choice;
      radio.onchange = () => choose(session, radio.value);
    }
  },

  update(session) {
    const { player } = session;
    for (const button of byId("stimuli").children) {
      const { role } = button.dataset;
      const active = role === player.selected;
      button.classList.toggle("active", active);
      button.classList.toggle("playing", active && player.playing);
      button.classList.toggle("heard", session.hasHeard(role));
      button.setAttribute("aria-pressed", String(active));
    }
  },

  missing(session) {
    const unheard = Object.keys(LABELS).filter((role) => !session.hasHeard(role));
    const parts = [];
    if (unheard.length) parts.push(`Still to hear: ${unheard.map((role) => LABELS[role]).join(", ")}.`);
    if (!session.state.scratch.choice) parts.push("Still to answer: A or B?");
    return parts.join(" ");
  },

  answer(session) {
    const { trial, a, b, x } = session.trial;
    return { trial, a, b, x, choice: session.trial[session.state.scratch.choice] };
  },

  key(session, key) {
    if (key in LABELS) return () => hear(session, key);
    const keys = { ArrowLeft: () => choose(session, "a"), ArrowRight: () => choose(session, "b") };
    return keys[key];
  },
};

function hear(session, role, pauses = false) {
  const { player } = session;
  if (pauses && player.selected === role && player.playing) player.pause();
  else player.select(role, true);
}

function choose(session, role) {
  session.state.scratch.choice = role;
  session.save();
  for (const radio of byId("choices").querySelectorAll("input")) radio.checked = radio.value === role;
  session.update();
}

const session = new Session(abx);
