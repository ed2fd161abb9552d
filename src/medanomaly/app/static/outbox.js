// Marks on their way to the server: in the order in which they were made, until each is saved, whatever is shown meanwhile.
import { Ask } from "./ask.js";

const AGAIN = 1000; // milliseconds until what was not saved is tried again

class Outbox {
  constructor() {
    // `marks` is the part of the page that is shown now; notes of a reader without a name wait in `drafts`.
    Object.assign(this, { queue: [], undone: [], drafts: new Map(), trouble: "", marks: null });
    window.addEventListener("beforeunload", (event) => {
      if (this.queue.length || this.drafts.size || this.marks?.dirty) event.preventDefault();
    });
  }

  add(one) {
    if (one.undo) this.undone.push(one);
    this.queue.push(one);
    if (this.queue.length === 1) this.pump();
  }

  async pump() {
    while (this.queue.length) {
      const one = this.queue[0];
      let saved = null;
      try {
        // What the mark took the place of is known when it is saved; one that was refused leaves nothing to take back.
        // A mark is put back at the operating point at which it was made.
        const back = (before = []) => before.map(({ number, sha256, mark, threshold }) => ({ number, sha256, mark, threshold }));
        const marks = one.marks ?? back(one.back.before);
        const ask = Object.assign(new Ask(), { data: one.data, reader: one.reader });
        saved = marks.length ? await ask.post("mark", { marks }) : { before: [], now: [] };
      } catch (error) {
        const again = !error.status || error.status >= 500;
        const why = error.message.startsWith("not saved") ? error.message : `not saved: ${error.message}`;
        this.say(`${one.facts.name}: ${why}${again ? ` (${this.queue.length} waiting, tried again)` : ""}`);
        if (again) {
          await new Promise((done) => setTimeout(done, AGAIN));
          continue;
        }
        this.queue.shift();
        this.undone = this.undone.filter((other) => other !== one);
        this.marks?.reading.renew();
        continue;
      }
      this.queue.shift();
      one.before = saved.before;
      if (!this.queue.length) this.say("");
      this.marks?.saved(one, saved);
    }
  }

  say(text) {
    this.trouble = text;
    this.marks?.trouble();
  }
}

// One for the page: it outlives a look at the evidence.
export const outbox = new Outbox();
