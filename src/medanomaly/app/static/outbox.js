// Marks on their way to the server: in the order in which they were made, until each is saved, whatever is shown meanwhile.
import { Ask } from "./ask.js";

const AGAIN = 1000; // milliseconds until what was not saved is tried again
const TRIES = 3; // of a mark at which the server fails; one that is away, or waits for its file, is asked until it answers

class Outbox {
  constructor() {
    // `marks` is the part of the page that is shown now; notes of a reader without a name wait in `drafts`. What the
    // server will not take is in `unsaved` with its reason, until the image is marked again.
    Object.assign(this, { queue: [], undone: [], drafts: new Map(), unsaved: [], said: "", marks: null });
    window.addEventListener("beforeunload", (event) => {
      if (this.queue.length || this.drafts.size || this.unsaved.length || this.marks?.dirty) event.preventDefault();
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
      // What the mark took the place of is known when it is saved; one that was refused leaves nothing to take back.
      // A mark is put back at the operating point at which it was made.
      const back = (before = []) => before.map(({ number, sha256, mark, threshold }) => ({ number, sha256, mark, threshold }));
      const marks = one.marks ?? back(one.back.before);
      let saved = null;
      try {
        const ask = Object.assign(new Ask(), { data: one.data, reader: one.reader });
        saved = marks.length ? await ask.post("mark", { marks }) : { before: [], now: [] };
      } catch (error) {
        one.tries = (one.tries ?? 0) + 1;
        const again = !error.status || error.status === 503 || (error.status >= 500 && one.tries < TRIES);
        const why = error.message.startsWith("not saved") ? error.message : `not saved: ${error.message}`;
        if (again) {
          this.say(`${one.facts.name}: ${why} (${this.queue.length} waiting, tried again)`);
          await new Promise((done) => setTimeout(done, AGAIN));
          continue;
        }
        this.queue.shift();
        this.undone = this.undone.filter((other) => other !== one);
        this.settled(one, marks);
        this.unsaved.push({ one, marks, why });
        this.say("");
        this.marks?.reading.renew();
        continue;
      }
      this.queue.shift();
      one.before = saved.before;
      this.settled(one, marks);
      if (!this.queue.length) this.say("");
      this.marks?.saved(one, saved);
    }
  }

  // What was not saved before is of no account where the same is marked again, or taken back.
  settled({ data, reader, back }, marks) {
    const over = (of, old) => of.number === old.number && Object.keys(old).every((key) => key in of || key === "threshold");
    this.unsaved = this.unsaved.filter(
      ({ one, marks: olds }) =>
        one !== back &&
        !(this.at(one, data, reader) && olds.every((old) => marks.some((of) => over(of, old)))),
    );
  }

  at(one, data, reader) {
    return one.data.token === data.token && one.data.bundle === data.bundle && one.reader === reader;
  }

  // The reader's mark and note on an image that the server did not take, with the reason; `mark` is null where it was
  // to be taken away.
  unsavedOf(number, data, reader) {
    const found = {};
    for (const { one, marks, why } of this.unsaved.filter(({ one }) => this.at(one, data, reader))) {
      for (const { number: of, mark, note } of marks.filter((mark) => mark.number === number)) {
        if (mark !== undefined) Object.assign(found, { mark, why });
        if (note !== undefined) Object.assign(found, { note, why });
      }
    }
    return found;
  }

  say(text) {
    this.said = text;
    this.marks?.trouble();
  }

  get trouble() {
    const lines = this.unsaved.map(({ one, why }) => `${one.facts.name}: ${why}`);
    return [this.said, ...new Set(lines)].filter(Boolean).join(". ");
  }
}

// One for the page: it outlives a look at the evidence.
export const outbox = new Outbox();
