// A waveform that shows a player's position and sets its loop by dragging.
class Waveform {
  constructor(canvas, player) {
    this.canvas = canvas;
    this.player = player;
    this.painted = document.createElement("canvas");
    this.samples = new Float32Array(0);
    this.dragged = null;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => (this.dragged = null));
    canvas.addEventListener("dblclick", () => player.setRegion(0, player.duration));
  }

  show(samples) {
    this.samples = samples;
    this.peaks = null;
    this.draw();
  }

  seconds(event) {
    const box = this.canvas.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    return Math.min(Math.max(part, 0), 1) * this.player.duration;
  }

  press(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.dragged = { x: event.clientX, from: this.seconds(event), moved: false };
  }

  drag(event) {
    if (!this.dragged) return;
    this.dragged.moved ||= Math.abs(event.clientX - this.dragged.x) > 6;
    this.dragged.to = this.seconds(event);
    this.draw();
  }

  // A drag is a loop; a click is a position.
  release(event) {
    const dragged = this.dragged;
    this.dragged = null;
    if (!dragged) return;
    const to = this.seconds(event);
    if (dragged.moved) this.player.setRegion(Math.min(dragged.from, to), Math.max(dragged.from, to));
    else this.player.seek(to);
  }

  // Called for every frame: the waveform is redrawn only after changes.
  draw() {
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * scale);
    const height = Math.round(this.canvas.clientHeight * scale);
    if (width === 0 || this.player.duration === 0) return;
    const styles = getComputedStyle(this.canvas);
    const colour = (name) => styles.getPropertyValue(name);
    const x = (seconds) => (seconds / this.player.duration) * width;
    let { start, end } = this.player;
    if (this.dragged && this.dragged.moved) {
      start = Math.min(this.dragged.from, this.dragged.to);
      end = Math.max(this.dragged.from, this.dragged.to);
    }
    const look = [width, height, start, end, colour("--wave")].join(" ");
    if (!this.peaks || look !== this.look) {
      this.look = look;
      this.canvas.width = this.painted.width = width;
      this.canvas.height = this.painted.height = height;
      this.peaks = loudest(this.samples, width);
      this.paint(x(start), x(end), colour);
    }
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.drawImage(this.painted, 0, 0);
    pen.fillStyle = colour("--playhead");
    pen.fillRect(x(this.player.position) - scale, 0, 2 * scale, height);
  }

  paint(start, end, colour) {
    const { width, height } = this.painted;
    const pen = this.painted.getContext("2d");
    pen.fillStyle = colour("--loop");
    pen.fillRect(start, 0, end - start, height);
    this.peaks.forEach((peak, column) => {
      const inside = column >= start && column <= end;
      pen.fillStyle = colour(inside ? "--wave" : "--wave-outside");
      const half = Math.max(peak * 0.46 * height, 0.5);
      pen.fillRect(column, height / 2 - half, 1, 2 * half);
    });
  }
}

// The largest magnitude per column, relative to the overall largest.
function loudest(samples, columns) {
  const peaks = new Float32Array(columns);
  let most = 1e-9;
  for (let column = 0; column < columns; column++) {
    const from = Math.floor((column * samples.length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * samples.length) / columns));
    for (let i = from; i < to; i++) peaks[column] = Math.max(peaks[column], Math.abs(samples[i]));
    most = Math.max(most, peaks[column]);
  }
  return peaks.map((peak) => peak / most);
}
