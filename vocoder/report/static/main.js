// The page: one utterance is open at a time, with one player.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const dock = byId("dock"), seek = byId("seek");
const view = { f0: true, differences: true };
let open = null; // number of the open utterance
let chosen = 0; // the system that is heard, kept from one utterance to the next
let lent = []; // object URLs of the open utterance

const table = new Table(data, { open: (index) => index === open ? close() : show(index), hear });
const player = new Player(byId("dock"), refresh, (index) =>
  complain(`${data.players[index]}: this browser cannot play ${mediaOf(open)[index][AUDIO].slice(0, 80)}`));
table.rendered = listOrders;

// -- media ---------------------------------------------------------------------------------------

function mediaOf(index) {
  const utterance = data.utterances[index];
  utterance.media ??= JSON.parse(byId(`media-${index}`).textContent);
  return utterance.media;
}

// Embedded audio becomes an object URL: browsers cannot seek in all data URIs.
function playable(source) {
  if (source === null || !source.startsWith("data:")) return source;
  const [head, content] = source.split(",", 2);
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: head.slice(5, head.indexOf(";")) }));
  lent.push(url);
  return url;
}

// -- opening and closing -------------------------------------------------------------------------

function show(index, system = chosen) {
  if (open === index) return;
  const resume = player.playing;
  close();
  open = index;
  table.reveal(index);
  const utterance = data.utterances[index];
  if (!utterance.has[system]) system = utterance.has.findIndex(Boolean);
  putPanel();
  dock.hidden = false;
  byId("now").textContent = utterance.name;
  listChoices(utterance);
  seek.max = utterance.seconds;
  complain("");
  player.load(mediaOf(index).map((media) => playable(media[AUDIO])), Math.max(system, 0));
  history.replaceState(null, "", `#u=${encodeURIComponent(utterance.name)}`);
  if (resume) player.play();
}

function putPanel() {
  const utterance = data.utterances[open];
  const inside = buildPanel(data, utterance, mediaOf(open), table.shown, table.metric,
    { choose, seek: (seconds) => player.seek(seconds), view, toggle });
  const cell = element("td", { colspan: table.heads.length }, inside);
  const row = element("tr", { class: "panel" }, cell);
  table.panel = { row, index: open };
  applyView();
  table.rows[open].row.after(row);
}

function close() {
  if (open === null) return;
  player.unload();
  lent.forEach((url) => URL.revokeObjectURL(url));
  lent = [];
  table.panel.row.remove();
  table.panel = null;
  open = null;
  dock.hidden = true;
  table.mark(null);
}

// A system's score was clicked in the table.
function hear(index, system) {
  if (index === open && system === player.active) { player.toggle(); return; }
  if (index === open) choose(system);
  else { chosen = system; show(index, system); }
  if (!player.playing) player.play();
}

function choose(system) {
  if (open === null || !data.utterances[open].has[system]) return;
  chosen = system;
  player.choose(system);
  keepFocus();
}

// A focused button in the table passes the focus to the playing system's button: otherwise the
// space bar would act on the previous system.
function keepFocus() {
  if (document.activeElement?.matches(".hear, .name")) {
    table.rows[open].buttons[player.active]?.focus({ preventScroll: true });
  }
}

function step(by) {
  const list = table.visible;
  if (list.length === 0) return;
  const at = list.indexOf(open);
  const next = at < 0 ? (by > 0 ? 0 : list.length - 1) : at + by;
  if (next < 0 || next >= list.length) return;
  show(list[next]);
  keepFocus();
  table.rows[list[next]].row.scrollIntoView({ block: "start" });
}

// -- what is shown while it plays ----------------------------------------------------------------

function listChoices(utterance) {
  const options = data.players.map((name, index) => {
    const option = element("button", {
      type: "button", role: "radio", class: `option s${index % 10}`, "aria-checked": "false",
      onclick: () => choose(index),
    }, index < 9 ? element("kbd", {}, String(index + 1)) : null, name);
    option.disabled = !utterance.has[index];
    option.hidden = table.hidden.has(index);
    return option;
  });
  byId("choices").replaceChildren(...options);
}

function refresh() {
  if (open === null) return;
  dock.classList.toggle("playing", player.playing);
  byId("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  [...byId("choices").children].forEach((option, index) => {
    option.setAttribute("aria-checked", String(index === player.active));
    option.tabIndex = index === player.active ? 0 : -1;
  });
  const shown = byId("choices").children[player.active];
  byId("choices").scrollTo({ left: shown.offsetLeft - byId("choices").offsetLeft - 40 });
  for (const pick of table.panel.row.querySelectorAll(".lane")) {
    const on = Number(pick.dataset.player) === player.active;
    pick.querySelector(".pick").setAttribute("aria-pressed", String(on));
  }
  table.mark(open, player.active, player.playing);
  tick();
}

function tick() {
  if (open === null) return;
  const { seconds } = data.utterances[open];
  const now = Math.min(player.position(), seconds);
  if (document.activeElement !== seek || !seek.matches(":active")) seek.value = now;
  seek.setAttribute("aria-valuetext", `${now.toFixed(1)} of ${seconds.toFixed(1)} seconds`);
  byId("time").textContent = `${now.toFixed(1)} / ${seconds.toFixed(1)} s`;
  table.panel.row.style.setProperty("--at", seconds > 0 ? now / seconds : 0);
  cancelAnimationFrame(tick.frame);
  if (player.playing) tick.frame = requestAnimationFrame(tick);
}

function complain(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = text === "";
}

function toggle(key) {
  view[key] = !view[key];
  applyView();
}

function applyView() {
  const row = table.panel?.row;
  if (!row) return;
  row.classList.toggle("no-f0", !view.f0);
  row.classList.toggle("no-differences", !view.differences);
  for (const box of row.querySelectorAll("[data-view]")) box.checked = view[box.dataset.view];
}

// -- metrics, orders, filters --------------------------------------------------------------------

function setMetric(key) {
  table.metric = data.metrics.findIndex((metric) => metric.key === key);
  for (const select of document.querySelectorAll(".metric-select")) select.value = key;
  for (const part of document.querySelectorAll("[data-metric]")) part.hidden = part.dataset.metric !== key;
  redraw();
}

function redraw() {
  if (open !== null) {
    // The audio elements are in the dock: a new panel does not affect them.
    table.panel.row.remove();
    putPanel();
    listChoices(data.utterances[open]);
  }
  table.render();
  refresh();
}

function listOrders() {
  const select = byId("order");
  const value = ({ by, worst }) => `${by}/${worst}`;
  if (select.options.length === 0) {
    const option = (text, by, worst) => element("option", { value: value({ by, worst }) }, text);
    const systems = data.players.flatMap((name, index) =>
      data.utterances.some((utterance) => utterance.scores[index])
        ? [option(`${name}: worst first`, index, true), option(`${name}: best first`, index, false)] : []);
    select.append(...systems, option("by name", "name", true), option("by name, backwards", "name", false));
    if (table.hasSpeakers) {
      select.append(option("by speaker", "speaker", true), option("by speaker, backwards", "speaker", false));
    }
    select.append(option("shortest first", "seconds", true), option("longest first", "seconds", false));
  }
  select.value = value(table.order);
}

function chipsOfSystems() {
  data.players.forEach((name, index) => {
    const chip = element("button", { type: "button", class: "chip", "aria-pressed": "true" },
      systemName(data, index));
    chip.addEventListener("click", () => {
      const show = table.hidden.has(index);
      if (show) table.hidden.delete(index); else table.hidden.add(index);
      chip.setAttribute("aria-pressed", String(show));
      redraw();
    });
    byId("shown").append(chip);
  });
}

// A dot of a distribution: the nearest utterance of that row.
function openNearest(event) {
  const plot = event.currentTarget.querySelector("svg");
  const metric = data.metrics.findIndex(({ key }) => key === event.currentTarget.dataset.plot);
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
  const { low, high, start, end, row } = plot.dataset;
  const value = Number(low) + (point.x - start) / (end - start) * (high - low);
  const label = plot.querySelectorAll("g")[Math.floor(point.y / row)];
  if (!label) return;
  const system = data.players.indexOf(label.querySelector("title").textContent);
  let nearest = null, distance = Infinity;
  data.utterances.forEach((utterance, index) => {
    const score = utterance.scores[system]?.[metric] ?? null;
    if (score === null || Math.abs(score - value) >= distance) return;
    [nearest, distance] = [index, Math.abs(score - value)];
  });
  if (nearest === null) return;
  setMetric(data.metrics[metric].key);
  if (!table.visible.includes(nearest)) clearFilters();
  chosen = system;
  if (open === nearest) choose(system); else show(nearest, system);
  table.rows[nearest].row.scrollIntoView({ block: "start" });
}

function clearFilters() {
  table.text = byId("search").value = "";
  table.speaker = "";
  if (byId("speaker")) byId("speaker").value = "";
  table.render();
}

// -- keys ----------------------------------------------------------------------------------------

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  l: () => byId("loop").click(),
  f: () => toggle("f0"),
  d: () => toggle("differences"),
  "?": () => byId("help").showModal(),
  "/": () => byId("search").focus(),
};
const KEYS_WHILE_OPEN = {
  " ": () => player.toggle(),
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  ArrowLeft: () => player.seek(player.position() - 0.5),
  ArrowRight: () => player.seek(Math.min(player.position() + 0.5, data.utterances[open].seconds)),
  Escape: close,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const at = event.target;
  if (at.matches("input[type=search], select, textarea")) return;
  // A focused control keeps its own keys.
  if (event.key === " " && at.matches("button, summary, a, input")) return;
  if (event.key.startsWith("Arrow") && at.matches("input, [role=radio]")) return;
  let action = KEYS[event.key];
  if (open !== null) {
    action ??= KEYS_WHILE_OPEN[event.key];
    if (/^[1-9]$/.test(event.key)) action = () => choose(Number(event.key) - 1);
  }
  if (!action) return;
  event.preventDefault();
  action();
}

// Arrows inside the group of systems, as in any group of radio buttons.
function onChoiceKey(event) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const there = [...byId("choices").children].filter((option) => !option.disabled && !option.hidden);
  const next = there[(there.indexOf(event.target) + by + there.length) % there.length];
  next.click();
  next.focus();
}

// -- start ---------------------------------------------------------------------------------------

chipsOfSystems();
setUpExports();
for (const select of document.querySelectorAll(".metric-select")) {
  select.addEventListener("change", () => setMetric(select.value));
}
for (const figure of document.querySelectorAll("[data-plot]")) figure.addEventListener("click", openNearest);
byId("order").addEventListener("change", (event) => {
  const [by, worst] = event.target.value.split("/");
  table.order = { by: /^\d+$/.test(by) ? Number(by) : by, worst: worst === "true" };
  table.render();
});
byId("speaker")?.addEventListener("change", (event) => { table.speaker = event.target.value; table.render(); });
byId("search").addEventListener("input", (event) => { table.text = event.target.value; table.render(); });
byId("play").addEventListener("click", () => player.toggle());
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("help-button").addEventListener("click", () => byId("help").showModal());
byId("loop").addEventListener("click", (event) => {
  player.loop = !player.loop;
  event.currentTarget.setAttribute("aria-pressed", String(player.loop));
});
seek.addEventListener("input", () => player.seek(Number(seek.value)));
byId("choices").addEventListener("keydown", onChoiceKey);
document.addEventListener("keydown", onKey);
setMetric(data.metrics[0].key);
const linked = new URLSearchParams(location.hash.slice(1)).get("u");
const named = data.utterances.findIndex((utterance) => utterance.name === linked);
if (named >= 0) {
  show(named);
  table.rows[named].row.scrollIntoView({ block: "start" });
}
