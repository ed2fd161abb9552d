// Marks and notes: each for the image that was on the screen, kept in a queue until the server has saved it.
const AGAIN = 1000; // milliseconds until what was not saved is tried again
const SEEN = 400; // an image that came by itself is on the screen for so long before a key marks it

export class Marks {
  constructor(root, ask, reading) {
    this.root = root;
    this.ask = ask;
    this.reading = reading;
    Object.assign(this, { queue: [], undone: [], held: null, shown: null, asking: false, noted: "" });
    for (const button of root.querySelectorAll("[data-mark]")) button.onclick = () => this.press(button.dataset.mark);
    this.find(".undo").onclick = () => this.undo();
    this.note = this.find("[name=note]");
    this.note.onkeydown = (event) => this.keyInNote(event);
    this.note.onblur = () => this.keepNote();
    this.find(".who").onsubmit = (event) => (event.preventDefault(), this.named(this.find("[name=reader]").value.trim()));
    this.find(".nameless").onclick = () => this.named("");
    this.find(".change").onclick = () => this.askName();
    this.find("[name=reader]").onkeydown = (event) => {
      if (event.key === "Escape") event.target.blur();
    };
    window.addEventListener("beforeunload", (this.leaving = (event) => void (this.queue.length && event.preventDefault())));
    const name = localStorage.getItem("medanomaly.reader");
    if (name === null) this.asking = true;
    else ask.reader = name;
    this.names();
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  close() {
    window.removeEventListener("beforeunload", this.leaving);
  }

  paint(shown) {
    const other = this.shown?.facts.number !== shown.facts.number || this.shown.facts.bundle !== shown.facts.bundle;
    if (other) this.keepNote(); // what is half typed is of the image before
    this.shown = shown;
    const { own, beside, error } = shown.facts;
    for (const button of this.root.querySelectorAll("[data-mark]")) {
      button.setAttribute("aria-pressed", String(own.mark === button.dataset.mark));
      button.setAttribute("aria-busy", String(!!own.saving));
    }
    this.find(".marks").hidden = !!error;
    // A field in which someone writes is never changed under him.
    if (other || this.note.value === this.noted) this.note.value = this.noted = own.note;
    this.find(".beside").replaceChildren(
      ...beside.map(({ reader, mark, note }) =>
        Object.assign(document.createElement("li"), { textContent: `${reader}: ${mark ?? "no mark"}${note ? `, ${note}` : ""}` }),
      ),
    );
  }

  // A mark on the image on the screen; why not, where it is refused.
  press(mark, { key = false, segment = false } = {}) {
    const shown = this.reading.readable();
    if (!shown) return;
    const { facts } = shown;
    if (facts.error) return this.reading.say(`Not marked: ${facts.name} has no decision.`);
    if (key && shown.alone && performance.now() - shown.since < SEEN) {
      return this.reading.say(`Not marked: ${facts.name} has only just come. Press again.`);
    }
    if (this.asking) {
      this.held = { number: facts.number, mark, segment };
      this.find("[name=reader]").focus();
      return this.reading.say(`Say who reads: then ${facts.name} is marked ${mark}.`);
    }
    const wanted = facts.own.mark === mark && !segment ? null : mark;
    const numbers = segment && facts.video?.within.length ? facts.video.within : [facts.number];
    this.send(shown, numbers.map((number) => ({ number, sha256: facts.sha256, mark: wanted })), { undo: true, mark: wanted });
    Object.assign(facts.own, { mark: wanted, saving: true });
    this.paint(shown);
  }

  keyInNote(event) {
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") this.note.value = this.noted;
    this.note.blur();
  }

  keepNote() {
    const shown = this.shown;
    if (!shown || this.note.value === this.noted) return;
    if (this.asking) {
      this.note.placeholder = "Note: say who reads, and it is kept";
      return this.askName(false);
    }
    const { facts } = shown;
    this.noted = facts.own.note = this.note.value;
    this.send(shown, [{ number: facts.number, sha256: facts.sha256, note: this.note.value }], {});
  }

  send({ facts }, marks, more) {
    // The point and the reader of the moment: they may change while it waits.
    const { data, reader } = this.ask;
    this.queue.push({ marks, data, reader, facts, ...more });
    if (this.queue.length === 1) this.pump();
  }

  async pump() {
    while (this.queue.length) {
      const one = this.queue[0];
      let saved = null;
      try {
        const { Ask } = await import("./ask.js");
        const ask = Object.assign(new Ask(), { data: one.data, reader: one.reader });
        saved = await ask.post("mark", { marks: one.marks });
      } catch (error) {
        const again = !error.status || error.status === 503;
        const why = error.message.startsWith("not saved") ? error.message : `not saved: ${error.message}`;
        this.trouble(`${one.facts.name}: ${why}${again ? ` (${this.queue.length} waiting, tried again)` : ""}`);
        if (again) {
          await new Promise((done) => setTimeout(done, AGAIN));
          continue;
        }
        this.queue.shift();
        this.reading.renew();
        continue;
      }
      this.queue.shift();
      if (!this.queue.length) this.trouble("");
      this.saved(one, saved);
    }
  }

  saved(one, { before, now }) {
    if (one.reader !== this.ask.reader) return;
    const waiting = new Set(this.queue.flatMap(({ marks }) => marks.map(({ number }) => number)));
    for (const { number, own, beside } of now) {
      if (!waiting.has(number)) this.reading.saved(number, own, beside);
    }
    if (one.undo) this.undone.push({ before, facts: one.facts, data: one.data });
    const said = one.mark ? `${one.mark} saved` : one.undo ? "mark taken away" : one.back ? "taken back" : "note saved";
    const many = one.marks.length > 1 ? `, ${one.marks.length} frames` : "";
    this.reading.say(`${one.facts.name}: ${said}${many}.`);
    this.reading.refresh();
    if (one.mark) this.reading.follow(one.facts);
  }

  undo() {
    const last = this.undone.pop();
    if (!last) return this.reading.say("There is no mark to take back.");
    const marks = last.before.map(({ number, sha256, mark }) => ({ number, sha256, mark }));
    this.queue.push({ marks, data: last.data, reader: this.ask.reader, facts: last.facts, back: true });
    if (this.queue.length === 1) this.pump();
    if (last.data.bundle === this.ask.data.bundle) this.reading.open(last.facts.row, last.facts.number);
  }

  trouble(text) {
    const line = this.find(".trouble");
    line.hidden = !(text || this.reading.list?.trouble);
    const wanted = text || this.reading.list?.trouble || "";
    if (line.textContent !== wanted) line.textContent = wanted;
    this.failing = !!text;
  }

  // The reader's name: asked once, kept in this browser, sent with every request.
  askName(focus = true) {
    this.asking = true;
    this.names();
    this.find("[name=reader]").value = this.ask.reader;
    if (focus) this.find("[name=reader]").focus();
  }

  named(name) {
    localStorage.setItem("medanomaly.reader", name);
    const other = name !== this.ask.reader;
    this.asking = false;
    this.ask.reader = name;
    this.note.placeholder = "Note";
    this.names();
    const held = this.held;
    this.held = null;
    if (other) this.undone = [];
    this.reading.tellReader();
    // What the new reader may see is asked for first: a mark is then his own.
    this.reading.renew(() => {
      if (held && this.reading.shown?.facts.number === held.number) this.press(held.mark, held);
      this.keepNote();
    });
    this.find("[name=reader]").blur();
  }

  names() {
    this.find(".who").hidden = !this.asking;
    this.find(".reader").hidden = this.asking;
    this.find(".reader b").textContent = this.ask.reader || "without a name";
  }
}
