// The reading part: list, picture, figures and marks are of one image, and change together or not at all.
import { Ask } from "./ask.js";
import { Keys } from "./keys.js";
import { List } from "./list.js";
import { Marks } from "./marks.js";
import { outbox } from "./outbox.js";
import { Panel } from "./panel.js";
import { Pictures } from "./pictures.js";
import { Video } from "./video.js";
import { Viewer } from "./viewer.js";

const EACH = 1000; // milliseconds between looks at a list that grows
const AGAIN = 3000; // milliseconds until the reader is told again to Streamlit, which loses it at times
const SOON = 100; // milliseconds to a look after a file was sent
const AHEAD = 2; // images after the one on the screen that are made ready
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

class Reading {
  constructor(root) {
    this.root = root;
    this.ask = new Ask();
    this.pictures = new Pictures(this.ask);
    // `shown` is on the screen, `target` is on its way there; they are one image while `state` is ready.
    Object.assign(this, { shown: null, target: null, tellReader: () => {} });
    this.viewer = new Viewer(root, this.ask, (text) => this.say(text));
    this.panel = new Panel(root, this.ask);
    this.video = new Video(root, this);
    this.list = new List(root, this.ask, this);
    this.marks = new Marks(root, this.ask, this);
    this.keys = new Keys(root, this);
    this.follows = root.querySelector("[name=follow]");
    this.follows.checked = localStorage.getItem("medanomaly.follow") !== "off";
    this.follows.onchange = () => localStorage.setItem("medanomaly.follow", this.follows.checked ? "on" : "off");
    this.sent = () => {
      this.soon ??= setTimeout(() => ((this.soon = undefined), this.refresh()), SOON);
    };
    window.addEventListener("medanomaly.sent", this.sent);
  }

  // Called by Streamlit after each of its runs.
  update(data, setStateValue) {
    if (this.ask.data && this.ask.data.token !== data.token) this.reset();
    const before = this.ask.data && this.ask.key;
    // Another bundle was chosen: the field of choice is left, so that keys are the images' again.
    if (this.ask.data && this.ask.data.bundle !== data.bundle) {
      document.activeElement?.closest("[data-testid=stSelectbox]")?.querySelector("input:focus")?.blur();
    }
    this.ask.data = data;
    this.tellReader = () => {
      if (this.ask.reader === this.ask.data.reader) return;
      // Told again where Streamlit lost it: the export is this reader's.
      const lost = performance.now() - this.toldAt > AGAIN;
      if (this.told === this.ask.reader && !lost) return;
      Object.assign(this, { told: this.ask.reader, toldAt: performance.now() });
      setStateValue("reader", this.ask.reader);
    };
    this.tellReader();
    if (before !== null && before !== this.ask.key) this.renew();
    else this.refresh();
  }

  // The server was started again, and knows nothing of the images on the screen.
  reset() {
    this.marks.reset();
    this.video.play(false);
    Object.assign(this, { shown: null, target: null });
    this.viewer.shown = this.panel.facts = this.video.video = null;
    this.list.reset();
    this.root.dataset.state = "empty";
    this.root.querySelector(".right").hidden = true;
  }

  // Everything is asked for anew: another bundle, operating point or reader. Until it is there the old is inactive.
  renew(then) {
    this.pictures.facts.clear();
    if (this.target) this.aim({ ...this.target, then });
    else then?.();
    this.refresh();
  }

  async refresh() {
    clearTimeout(this.timer);
    const turn = (this.turn = (this.turn ?? 0) + 1);
    let busy = true;
    try {
      busy = await this.list.refresh();
      if (turn !== this.turn) return;
      this.marks.trouble();
      this.begin();
    } catch (error) {
      if (turn !== this.turn) return;
      this.say(`The list cannot be brought up to date: ${error.message}`);
      if (error.status === 403) return;
    }
    if (busy) this.timer = setTimeout(() => this.refresh(), EACH);
    else if (this.readied !== this.list.have && this.target && this.root.dataset.state === "ready") this.ahead(this.target);
    this.readied = this.list.have;
  }

  // The first image is chosen once; from then on only the reader chooses.
  begin() {
    const first = this.list.order[0];
    if (this.target || first === undefined) return;
    const kept = JSON.parse(sessionStorage.getItem(this.place) ?? "null");
    if (kept) this.open(kept.row, kept.number);
    else this.open(first, this.list.opens(first));
  }

  get place() {
    return `medanomaly.${this.ask.place}`;
  }

  open(row, number, alone = false) {
    if (this.target?.number === number && this.target.key === this.ask.key) return;
    this.aim({ row, number, alone });
  }

  // So many rows on from where the last press went: none is lost.
  step(by) {
    if (!this.target) return;
    this.video.play(false);
    const row = this.list.away(this.target.row, by);
    if (row !== undefined) this.open(row, this.list.opens(row));
  }

  // After a mark the next unmarked image follows, if the reader has not gone on himself.
  follow(facts) {
    if (!this.follows.checked || this.keys.writing || this.target?.number !== facts.number) return;
    const marked = new Set((facts.video?.marks ?? []).map(([number]) => number));
    const peak = facts.video?.peaks.find((one) => one > facts.number && !marked.has(one));
    if (peak !== undefined) return this.open(facts.row, peak, true);
    const row = this.list.unmarkedAfter(facts.row);
    if (row !== undefined) this.open(row, this.list.opens(row), true);
  }

  aim(target) {
    this.target = { ...target, key: this.ask.key };
    this.list.highlight(false);
    const ready = this.pictures.ready(target.number);
    if (ready && this.complete(ready)) return this.paint(ready);
    this.root.dataset.state = "loading";
    // What is written now would be of the image that goes.
    this.marks.note.readOnly = this.shown?.facts.number !== target.number;
    this.root.querySelector(".right").setAttribute("aria-busy", "true");
    this.chase(this.target);
  }

  complete({ facts, layers }) {
    return !layers || layers.values || !facts.picture.window || this.viewer.mode(facts) === "file";
  }

  // Brings the target to the screen; of targets that follow each other fast only the last is asked for.
  async chase(target) {
    const fast = performance.now() - (this.chased ?? -Infinity) < 150;
    this.chased = performance.now();
    if (fast) await pause(100);
    while (target === this.target && this.root.dataset.state === "loading") {
      try {
        const shown = await this.pictures.get(target.number);
        await this.viewer.prepare(shown);
        if (target !== this.target) return;
        if (target.alone && this.keys.writing && this.shown) return this.stay();
        if (target.key === this.ask.key) return this.paint(shown);
        this.target.key = this.ask.key;
      } catch (error) {
        if (target !== this.target) return;
        this.say(`This image cannot be shown: ${error.message}`);
        if (error.status === 403 || !this.root.isConnected) return;
        await pause(EACH); // it may be there soon: the server is away, or still at it
      }
    }
  }

  // An image that would come by itself does not come to someone who writes.
  stay() {
    const { row, number } = this.shown.facts;
    this.video.play(false);
    this.aim({ row, number, then: this.target.then });
  }

  // All of an image in one go: the browser paints none of it without the rest.
  paint(shown) {
    const { target } = this;
    const same = this.shown?.facts.number === shown.facts.number && this.shown.facts.bundle === shown.facts.bundle;
    this.shown = { ...shown, data: this.ask.data, since: performance.now(), alone: target.alone && !same };
    this.target = { row: shown.facts.row, number: shown.facts.number, alone: false, key: target.key };
    this.root.querySelector(".right").hidden = false;
    this.root.querySelector(".right").setAttribute("aria-busy", "false");
    this.root.dataset.state = "ready";
    this.marks.note.readOnly = false;
    this.root.dataset.number = String(shown.facts.number);
    this.viewer.paint(shown, same);
    this.panel.paint(shown);
    this.video.paint(shown);
    this.marks.paint(this.shown);
    this.list.choose(shown.facts.row);
    if (!same) this.say(`${shown.facts.name}: ${shown.facts.badge ?? "unreadable"}`);
    sessionStorage.setItem(this.place, JSON.stringify({ row: shown.facts.row, number: shown.facts.number }));
    target.then?.();
    this.ahead(this.target);
  }

  async ahead(target) {
    const rows = Array.from({ length: AHEAD }, (_, index) => this.list.away(target.row, index + 1));
    const numbers = [...rows, this.list.away(target.row, -1)].filter((row) => row !== undefined).map((row) => this.list.opens(row));
    const video = this.shown.facts.video;
    for (const number of [video?.next, video?.previous, ...numbers]) {
      if (target !== this.target) return;
      if (number === undefined || number === null) continue;
      try {
        await this.viewer.prepare(await this.pictures.get(number, true));
      } catch {
        // It is said when it is to be shown.
      }
    }
  }

  // The image on the screen, if all of it is there; else why there is none, and null.
  readable() {
    if (this.shown && this.root.dataset.state === "ready") return this.shown;
    this.say("Not marked: the next image is not there yet.");
    return null;
  }

  saved(number, own, others) {
    this.pictures.saved(number, own, others);
    const { facts } = this.shown ?? {};
    if (!facts) return;
    if (facts.number === number) {
      Object.assign(facts, { own, others });
      this.marks.paint(this.shown);
    }
    if (facts.video) this.timelineAnew();
  }

  // The marks of a video's frames stand on its timeline.
  timelineAnew() {
    clearTimeout(this.anew);
    const turn = (this.anew = setTimeout(async () => {
      const { facts } = this.shown;
      try {
        const found = await this.ask.json(`image/${facts.number}`);
        if (turn !== this.anew || this.shown?.facts !== facts || !found.video) return;
        facts.video = found.video;
        this.video.paint(this.shown);
      } catch {
        // The list says that the server is away.
      }
    }, 0));
  }

  say(text) {
    this.root.querySelector(".status").textContent = text;
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.soon);
    window.removeEventListener("medanomaly.sent", this.sent);
    this.target = null;
    this.keys.close();
    if (outbox.marks === this.marks) outbox.marks = null;
    this.root.reading = null;
  }
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".reading");
  root.reading ??= new Reading(root);
  const { reading } = root;
  reading.update(data, setStateValue);
  return () => setTimeout(() => root.isConnected || reading.close());
}
