// The panel below an utterance: a lane per system with its spectrogram, its difference from
// the recording, and its F0 over both.

const [AUDIO, SPECTROGRAM, DIFFERENCE, F0] = [0, 1, 2, 3];

// element("p", {class: "x", onclick: f}, child, …); null children are left out.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function systemName(data, index) {
  return element("span", { class: `system s${index % 10}` }, data.players[index]);
}

function number(value, decimals) {
  if (value === null || value === undefined) return "–";
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

// media: for each player [audio, spectrogram, difference, f0], each a URL or null.
// actions: {choose(index), seek(seconds), view: {f0, differences}, toggle(key)}
function buildPanel(data, utterance, media, shown, metric, actions) {
  const inside = element("div", { class: "inside" });
  inside.append(panelLine(utterance, actions));
  let first = true;
  for (const index of shown) {
    inside.append(lane(data, utterance, media[index], index, metric, actions, first));
    first = false;
  }
  inside.append(times(utterance.seconds));
  inside.append(everyScore(data, utterance, shown));
  return inside;
}

function panelLine(utterance, actions) {
  const box = (key, text, letter) => {
    const input = element("input", { type: "checkbox", onchange: () => actions.toggle(key) });
    input.checked = actions.view[key];
    input.dataset.view = key;
    return element("label", {}, input, ` ${text} `, element("kbd", {}, letter));
  };
  return element("div", { class: "panel-line" },
    scaleOf("scale-level", "Level", "−90 dB", "loudest",
      "linear-gradient(90deg,#000004,#3b0f70,#8c2981,#de4968,#fe9f6d,#fcfdbf)"),
    scaleOf("scale-difference", "Difference", "−20 dB", "+20 dB",
      "linear-gradient(90deg,#a8e6ff,#1a85eb,#0f0f14,#e66b0d,#ffe08c)"),
    element("span", { class: "push" }),
    utterance.f0 ? box("f0", "F0", "f") : null,
    box("differences", "differences", "d"));
}

function scaleOf(name, title, low, high, gradient) {
  return element("span", { class: `scale ${name}` }, `${title} ${low}`,
    element("span", { class: "gradient", style: `background:${gradient}` }), high);
}

function lane(data, utterance, [, spectrogram, difference, f0], index, metric, actions, first) {
  const name = data.players[index];
  const score = utterance.scores[index]?.[metric];
  const row = element("div", { class: `lane s${index % 10}`, "data-player": index });
  const pick = element("button", {
    type: "button", class: "pick", "aria-pressed": "false", onclick: () => actions.choose(index),
  }, systemName(data, index), element("span", { class: "value" },
    score === undefined || score === null ? "" : number(score, data.metrics[metric].decimals)));
  row.append(pick);
  const inPlace = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    actions.choose(index);
    actions.seek((event.clientX - box.left) / box.width * utterance.seconds);
  };
  const picture = (source, kind, alt, ...over) => source === null
    ? element("div", { class: `blank ${kind}` })
    : element("div", { class: `picture ${kind}`, onclick: inPlace },
      element("img", { src: source, alt, loading: "lazy", decoding: "async" }), ...over,
      element("span", { class: "head" }));
  row.append(
    picture(spectrogram, "spectrogram", `Spectrogram of ${name}`,
      f0 === null ? null : element("img", { class: "f0", src: f0, alt: "", loading: "lazy" }),
      first ? element("span", { class: "corner upper" }, `${utterance.nyquist / 1000} kHz`) : null,
      first && utterance.f0 ? element("span", { class: "corner hertz" },
        `F0 ${utterance.f0[0]}–${utterance.f0[1]} Hz`) : null),
    picture(difference, "difference", `${name} minus recording`));
  const error = [...new Set([utterance.problems[index], utterance.errors[index]])].filter(Boolean);
  if (error.length) row.append(element("p", { class: "remark error" }, error.join("; ")));
  if (utterance.notes[index]) row.append(element("p", { class: "remark" }, utterance.notes[index]));
  return row;
}

function times(seconds) {
  const axis = (kind) => element("div", { class: kind, "aria-hidden": "true" },
    ...[0, 0.25, 0.5, 0.75, 1].map((part) => element("span", {}, `${(part * seconds).toFixed(1)} s`)));
  return element("div", { class: "times" }, element("span", { class: "blank" }),
    axis("spectrogram"), axis("difference"));
}

function everyScore(data, utterance, shown) {
  const scored = shown.filter((index) => utterance.scores[index]);
  if (scored.length === 0) return "";
  const body = data.metrics.map((metric, place) => element("tr", {},
    element("th", { scope: "row" }, `${metric.label} ${metric.better === "higher" ? "↑" : "↓"}`),
    ...scored.map((index) =>
      element("td", {}, number(utterance.scores[index][place], metric.decimals)))));
  return element("details", { class: "every" },
    element("summary", {}, "All scores of this utterance"),
    element("div", { class: "scroll" }, element("table", {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Metric"),
        ...scored.map((index) => element("th", { scope: "col" }, systemName(data, index))))),
      element("tbody", {}, ...body))));
}
