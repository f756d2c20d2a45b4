// The table of utterances: one row each, a button for each system. Filtering and sorting only
// remove and reinsert rows; each row is created once.

// The best score that is not above the recording's; null if one above it is closer to it,
// as in the summary. recording: null without a score.
function best(scores, recording) {
  if (recording === null || scores.length === 0) return Math.max(...scores);
  const distance = (score) => Math.abs(score - recording);
  const nearest = scores.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  return nearest > recording ? null : nearest;
}

const FIRST_ROWS = 40; // so that what comes below the table is not far away

class Table {
  // actions: {open(index), hear(index, player)}
  constructor(data, actions) {
    this.data = data;
    this.actions = actions;
    this.metric = 0;
    this.order = { by: data.players.length > 1 ? 1 : 0, worst: true }; // by: player, or a name
    this.speaker = "";
    this.text = "";
    this.hidden = new Set();
    this.hasSpeakers = data.utterances.some((utterance) => utterance.speaker);
    this.table = document.getElementById("table");
    this.body = this.table.tBodies[0];
    this.count = document.getElementById("count");
    this.panel = null; // {row, index}
    this.buildHeads();
    this.rows = data.utterances.map((utterance, index) => this.buildRow(utterance, index));
    this.haystacks = data.utterances.map((u) =>
      [u.name, u.speaker, ...u.errors, ...u.notes, ...u.problems].join("\n").toLowerCase());
    this.visible = []; // all that match, in order, also those beyond the first rows
    this.limit = FIRST_ROWS;
    this.more = document.getElementById("more");
    this.more.addEventListener("click", () => { this.limit = Infinity; this.render(); });
  }

  get shown() {
    return this.data.players.map((_, index) => index).filter((index) => !this.hidden.has(index));
  }

  buildHeads() {
    const head = (by, content, name) => {
      const sign = element("span", { class: "sign", "aria-hidden": "true" });
      const button = element("button", { type: "button", onclick: () => this.sortBy(by) }, content, sign);
      const cell = element("th", { scope: "col", class: name }, button);
      cell.dataset.by = by;
      return cell;
    };
    this.heads = [head("name", "Utterance", "left")];
    if (this.hasSpeakers) this.heads.push(head("speaker", "Speaker", "left"));
    this.heads.push(head("seconds", "Seconds", ""));
    this.data.players.forEach((_, index) => {
      const cell = head(index, systemName(this.data, index), "");
      cell.dataset.player = index;
      this.heads.push(cell);
    });
    this.table.tHead.append(element("tr", {}, ...this.heads));
  }

  buildRow(utterance, index) {
    const name = element("button", {
      type: "button", class: "name", "aria-expanded": "false", onclick: () => this.actions.open(index),
    }, utterance.name);
    const marked = [...utterance.errors, ...utterance.problems].filter(Boolean);
    const row = element("tr", {}, element("td", { class: "left" }, name, marked.length
      ? element("span", { class: "mark", title: marked.join("\n") }, "⚠ problem") : null));
    if (this.hasSpeakers) row.append(element("td", { class: "left speaker" }, utterance.speaker || "–"));
    row.append(element("td", { class: "seconds" }, utterance.seconds.toFixed(1)));
    const buttons = this.data.players.map((player, number) => {
      const button = element("button", {
        type: "button", class: `hear s${number % 10}`, "data-system": player,
        onclick: () => this.actions.hear(index, number),
      }, element("span", { class: "figure" }));
      button.disabled = !utterance.has[number];
      const cell = element("td", { class: "heard" }, button);
      cell.dataset.player = number;
      row.append(cell);
      return button;
    });
    return { row, name, buttons };
  }

  // Choosing the same column again reverses the order.
  sortBy(by) {
    this.order = { by, worst: this.order.by === by ? !this.order.worst : true };
    this.render();
  }

  score(index, player) {
    return this.data.utterances[index].scores[player]?.[this.metric] ?? null;
  }

  // Ascending for words and lengths, worst first for scores; missing scores last.
  compare(a, b) {
    const { by, worst } = this.order;
    const [one, two] = [this.data.utterances[a], this.data.utterances[b]];
    let difference;
    if (typeof by === "number") {
      const [first, second] = [this.score(a, by), this.score(b, by)];
      if (first === null || second === null) return (first === null) - (second === null) || a - b;
      difference = first - second;
      if (this.data.metrics[this.metric].better === "lower") difference = -difference;
    } else if (by === "seconds") difference = one.seconds - two.seconds;
    else difference = one[by].localeCompare(two[by], undefined, { numeric: true });
    return (worst ? difference : -difference) || a - b;
  }

  matches(index) {
    const words = this.text.toLowerCase().split(/\s+/).filter(Boolean);
    return (!this.speaker || this.data.utterances[index].speaker === this.speaker)
      && words.every((word) => this.haystacks[index].includes(word));
  }

  render() {
    this.visible = this.rows.map((_, index) => index).filter((index) => this.matches(index));
    this.visible.sort((a, b) => this.compare(a, b));
    this.visible.forEach((index) => this.fill(index));
    if (this.panel && this.visible.indexOf(this.panel.index) >= this.limit) this.limit = Infinity;
    const rows = [];
    for (const index of this.visible.slice(0, this.limit)) {
      rows.push(this.rows[index].row);
      if (this.panel?.index === index) rows.push(this.panel.row);
    }
    this.body.replaceChildren(...rows);
    for (const cell of this.heads) this.fillHead(cell);
    const all = this.rows.length;
    this.count.textContent = this.visible.length === all
      ? `${all} utterance${all === 1 ? "" : "s"}` : `${this.visible.length} of ${all} utterances`;
    this.more.hidden = this.visible.length <= this.limit;
    this.more.textContent = `Show all ${this.visible.length} utterances`;
    this.rendered?.();
  }

  // Ensures that the row of a matching utterance is in the table.
  reveal(index) {
    if (this.visible.indexOf(index) < this.limit) return;
    this.limit = Infinity;
    this.render();
  }

  fill(index) {
    const { decimals, label, better } = this.data.metrics[this.metric];
    const values = this.data.players.map((_, player) => this.score(index, player));
    const sign = better === "higher" ? 1 : -1;
    const scored = this.data.rivals.filter((player) => values[player] !== null);
    const top = best(scored.map((player) => sign * values[player]), values[0] && sign * values[0]);
    this.rows[index].buttons.forEach((button, player) => {
      const value = values[player];
      const text = value === null ? (player === 0 ? "" : "–") : number(value, decimals);
      button.firstChild.textContent = text;
      button.classList.toggle("top-score",
        scored.length > 1 && scored.includes(player) && sign * value === top);
      button.setAttribute("aria-label", `${this.data.players[player]}, `
        + `${this.data.utterances[index].name}${text ? `, ${label} ${text}` : ""}`);
      button.parentElement.hidden = this.hidden.has(player);
    });
  }

  fillHead(cell) {
    const by = cell.dataset.player === undefined ? cell.dataset.by : Number(cell.dataset.player);
    const sorted = this.order.by === by;
    if (typeof by === "number") cell.hidden = this.hidden.has(by);
    // For a score that is better when higher, worst first is ascending.
    const rising = typeof by === "number" && this.data.metrics[this.metric].better === "lower"
      ? !this.order.worst : this.order.worst;
    if (sorted) cell.setAttribute("aria-sort", rising ? "ascending" : "descending");
    else cell.removeAttribute("aria-sort");
    cell.querySelector(".sign").textContent = sorted ? (rising ? "↑" : "↓") : "";
    cell.firstChild.title = typeof by !== "number" ? "sort"
      : sorted && this.order.worst ? "best first" : "worst first";
  }

  mark(index, player, playing) {
    this.rows.forEach(({ row, name, buttons }, other) => {
      const open = other === index;
      row.classList.toggle("open", open);
      name.setAttribute("aria-expanded", String(open));
      buttons.forEach((button, number) => {
        button.classList.toggle("now", open && number === player);
        button.classList.toggle("playing", open && number === player && playing);
      });
    });
  }
}
