// The viewer: image, heat map and outline as layers. Views, opacity, zoom and window are the browser's own work.
// What was set stays set from one image to the next, but for the zoom.
export class Viewer {
  constructor(root, ask, tell) {
    this.root = root.querySelector(".viewer");
    this.ask = ask;
    this.tell = tell;
    Object.assign(this, { view: "overlay", zoom: 1, x: 0, y: 0, window: null, shown: null });
    for (const button of this.root.querySelectorAll("[data-view]")) {
      button.onclick = () => ((this.view = button.dataset.view), this.arrange());
    }
    for (const name of ["opacity", "outline", "swipe"]) this.field(name).oninput = () => this.arrange();
    for (const button of this.root.querySelectorAll("[data-zoom]")) {
      button.onclick = () => this.zoomBy(Number(button.dataset.zoom) || 1 / this.zoom);
    }
    for (const button of this.root.querySelectorAll("[data-window]")) {
      button.onclick = () => this.choose(button.dataset.window);
    }
    for (const name of ["level", "width"]) this.field(name).oninput = () => this.choose("own");
    this.pointer();
    new ResizeObserver(() => this.place()).observe(this.find(".panes"));
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  field(name) {
    return this.find(`[name=${name}]`);
  }

  pointer() {
    const panes = this.find(".panes");
    panes.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey && this.zoom === 1 && event.deltaY > 0) return; // the page scrolls
        event.preventDefault();
        this.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2);
      },
      { passive: false },
    );
    panes.ondblclick = () => this.zoomBy(this.zoom > 1 ? 1 / this.zoom : 2);
    panes.onpointerdown = (event) => {
      if (this.zoom === 1) return;
      panes.setPointerCapture(event.pointerId);
      panes.onpointermove = (move) => ((this.x += move.movementX), (this.y += move.movementY), this.place());
    };
    panes.onpointerup = panes.onpointercancel = () => (panes.onpointermove = null);
  }

  // All that a window needs beside the picture; before it is there the image is not shown.
  async prepare({ facts, layers }) {
    if (!layers || !facts.picture.window || this.mode(facts) === "file") return;
    layers.values ??= await this.ask.values(facts.number);
  }

  mode(facts) {
    const window = facts.picture.window;
    return !window ? "file" : (this.window ?? (window.filled ? "file" : "percentiles"));
  }

  // Puts an image on the screen; called in one go with all that stands beside it.
  paint(shown, same) {
    const { facts, layers } = shown;
    this.root.hidden = !layers;
    this.shown = layers ? shown : null;
    if (!layers) return;
    const picture = facts.picture;
    if (!same) Object.assign(this, { zoom: 1, x: 0, y: 0 });
    for (const canvas of this.root.querySelectorAll("canvas.image")) canvas.setAttribute("aria-label", picture.alt);
    const heat = this.find("canvas.heat");
    if (layers.heat) {
      Object.assign(heat, { width: layers.heat.width, height: layers.heat.height });
      heat.getContext("2d").drawImage(layers.heat, 0, 0);
    }
    this.find(".outline").setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
    this.find(".outline path").setAttribute("d", picture.path);
    for (const part of this.root.querySelectorAll(".layered")) part.hidden = !layers.heat;
    this.find(".inexact").hidden = picture.again;
    this.windows(facts, layers);
    this.draw();
    this.arrange();
  }

  windows(facts, layers) {
    const range = facts.picture.window;
    this.find(".windows").hidden = !range;
    if (!range) return;
    const span = range.high - range.low;
    const step = span >= 50 ? 1 : span / 100;
    const [centre, width] = layers.own ?? range.percentiles;
    Object.assign(this.field("level"), { min: range.low, max: range.high, step, value: centre });
    Object.assign(this.field("width"), { min: step, max: span, step, value: width });
  }

  async choose(mode) {
    this.window = mode;
    const shown = this.shown;
    if (!shown) return;
    try {
      await this.prepare(shown);
    } catch (error) {
      this.tell(`The window cannot be changed: ${error.message}`);
      return;
    }
    if (this.shown !== shown) return; // another image has come, with a window of its own
    if (mode === "own") shown.layers.own = ["level", "width"].map((name) => Number(this.field(name).value));
    this.draw();
  }

  draw() {
    const { facts, layers } = this.shown;
    const mode = this.mode(facts);
    for (const button of this.root.querySelectorAll("[data-window]")) {
      button.setAttribute("aria-pressed", String(button.dataset.window === mode));
    }
    for (const label of this.root.querySelectorAll(".own")) label.hidden = mode !== "own";
    for (const name of ["level", "width"]) this.field(name).nextElementSibling.textContent = this.field(name).value;
    const source = mode === "file" || !layers.values ? layers.image : this.windowed(mode, facts, layers);
    for (const canvas of this.root.querySelectorAll("canvas.image")) {
      Object.assign(canvas, { width: source.width, height: source.height });
      const context = canvas.getContext("2d");
      if (source instanceof ImageData) context.putImageData(source, 0, 0);
      else context.drawImage(source, 0, 0);
    }
  }

  windowed(mode, facts, layers) {
    const range = facts.picture.window;
    const own = layers.own ?? range.percentiles;
    const [centre, width] = mode === "full" ? range.full : mode === "percentiles" ? range.percentiles : own;
    const { stored, slope, intercept, inverted } = layers.values;
    const greys = new Uint8ClampedArray(65536);
    for (let i = 0; i < 65536; i += 1) {
      const unit = (slope * i + intercept - centre + width / 2) / width;
      greys[i] = 255 * (inverted ? 1 - unit : unit); // clamped, and rounded half to even
    }
    const picture = new ImageData(layers.values.width, layers.values.height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < stored.length; i += 1) pixels[i] = 0xff000000 | (greys[stored[i]] * 0x010101);
    return picture;
  }

  arrange() {
    const layered = !!this.shown?.layers.heat;
    const view = layered ? this.view : "plain";
    for (const button of this.root.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    const swipe = `${this.field("swipe").value}%`;
    this.find(".plain").hidden = view !== "side";
    this.find(".swipe").hidden = this.find(".cut").hidden = view !== "swipe";
    this.find(".heat").style.opacity = view === "plain" ? 0 : Number(this.field("opacity").value) / 100;
    this.find(".outline").style.visibility = view !== "plain" && this.field("outline").checked ? "visible" : "hidden";
    this.find(".layers").style.clipPath = view === "swipe" ? `inset(0 0 0 ${swipe})` : "none";
    this.find(".cut").style.left = swipe;
    this.place();
  }

  zoomBy(factor) {
    this.zoom = Math.min(16, Math.max(1, this.zoom * factor));
    if (this.zoom === 1) this.x = this.y = 0;
    this.place();
  }

  place() {
    if (!this.shown) return;
    const { width, height } = this.shown.facts.picture;
    for (const pane of this.root.querySelectorAll(".pane:not([hidden])")) {
      const fit = Math.min(pane.clientWidth / width, pane.clientHeight / height);
      const stage = pane.querySelector(".stage");
      stage.style.width = `${width * fit}px`;
      stage.style.height = `${height * fit}px`;
      stage.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.zoom})`;
      stage.classList.toggle("sharp", fit * this.zoom > 6);
    }
    this.find(".panes").style.touchAction = this.zoom > 1 ? "none" : "auto";
    this.root.dataset.zoom = this.zoom.toFixed(2);
    this.find(".zoomed").textContent = `${Math.round(this.zoom * 100)} %`;
  }
}
