// Marks and notes: each for the image that was on the screen.
import { outbox } from "./outbox.js";

const SEEN = 400; // an image that came by itself is on the screen for so long before it is marked

export class Marks {
  constructor(root, ask, reading) {
    this.root = root;
    this.ask = ask;
    this.reading = reading;
    Object.assign(this, { held: null, shown: null, asking: false, noted: "" });
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
    const name = localStorage.getItem("medanomaly.reader");
    if (name === null) this.asking = true;
    else ask.reader = name;
    this.names();
    outbox.marks = this;
    this.trouble();
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  // Whether a note is half typed.
  get dirty() {
    return !!this.shown && this.note.value !== this.noted;
  }

  // The images of another session come: what is half typed is of one of this.
  reset() {
    this.keepNote();
    Object.assign(this, { held: null, shown: null });
    this.note.value = this.noted = "";
    outbox.undone = [];
    const lost = [...outbox.drafts.values()].map(({ shown, text }) => `${shown.facts.name}: “${text}”`);
    outbox.drafts.clear();
    if (lost.length) outbox.say(`not saved: the session has ended. Notes: ${lost.join("; ")}`);
  }

  paint(shown) {
    const other = this.shown?.facts.number !== shown.facts.number || this.shown.facts.bundle !== shown.facts.bundle;
    if (other) this.keepNote(); // what is half typed is of the image before
    this.shown = shown;
    const { own, others, error } = shown.facts;
    const unsaved = outbox.unsavedOf(shown.facts.number, shown.data, this.ask.reader);
    for (const button of this.root.querySelectorAll("[data-mark]")) {
      button.setAttribute("aria-pressed", String(own.mark === button.dataset.mark));
      button.setAttribute("aria-busy", String(!!own.saving));
      this.flag(button, unsaved.mark === button.dataset.mark && unsaved.why);
    }
    this.flag(this.note, unsaved.note !== undefined && unsaved.why);
    this.find(".marks").hidden = !!error;
    // A field in which someone writes is never changed under him.
    const note = unsaved.note ?? own.note;
    const clean = other || !this.dirty;
    if (other) this.note.value = outbox.drafts.get(this.place(shown))?.text ?? note;
    else if (clean) this.note.value = note;
    if (clean) this.noted = note;
    this.find(".beside").replaceChildren(
      ...others.map(({ reader, mark, note }) =>
        Object.assign(document.createElement("li"), { textContent: `${reader}: ${mark ?? "no mark"}${note ? `, ${note}` : ""}` }),
      ),
    );
  }

  // Shows what was not saved as such, with the reason; false where nothing is to be shown.
  flag(field, why) {
    field.toggleAttribute("data-unsaved", !!why);
    field.title = why || "";
  }

  place({ facts, data }) {
    return `${data.token}/${data.bundle}/${facts.number}`;
  }

  // What a mark is of: an image, and what was decided of it.
  decision(shown) {
    return `${this.place(shown)}/${shown.facts.threshold}`;
  }

  // A mark on the image on the screen; why not, where it is refused.
  press(mark, { segment = false } = {}) {
    const shown = this.reading.readable();
    if (!shown) return;
    const { facts } = shown;
    if (facts.error) return this.reading.say(`Not marked: ${facts.name} has no decision.`);
    if (shown.alone && performance.now() - shown.since < SEEN) {
      return this.reading.say(`Not marked: ${facts.name} has only just come. Press again.`);
    }
    if (this.asking) {
      this.held = { of: this.decision(shown), name: facts.name, mark, segment };
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
    if (event.isComposing || event.keyCode === 229 || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") this.note.value = this.noted;
    this.note.blur();
  }

  keepNote() {
    const { shown } = this;
    if (!shown) return;
    outbox.drafts.delete(this.place(shown));
    if (!this.dirty) return;
    if (this.asking) {
      // It waits for the name, and comes back with its image.
      outbox.drafts.set(this.place(shown), { shown, text: this.note.value });
      this.note.placeholder = "Note: say who reads, and it is kept";
      return this.askName(false);
    }
    this.noted = shown.facts.own.note = this.note.value;
    this.sendNote(shown, this.note.value);
  }

  sendNote(shown, note) {
    this.send(shown, [{ number: shown.facts.number, sha256: shown.facts.sha256, note }], {});
  }

  send({ facts, data }, marks, more) {
    // The point and the reader of the moment: they may change while it waits.
    outbox.add({ marks, data, reader: this.ask.reader, facts, ...more });
  }

  // Called when the server has saved what may be of another reader, bundle or session than is shown now.
  saved(one, { now }) {
    const { data, reader } = this.ask;
    const here = one.reader === reader && one.data.bundle === data.bundle && one.data.token === data.token;
    const waiting = new Set(outbox.queue.flatMap(({ marks, back }) => (marks ?? back.marks).map(({ number }) => number)));
    for (const { number, own, others } of here ? now : []) {
      if (!waiting.has(number)) this.reading.saved(number, own, others);
    }
    const said = one.mark ? `${one.mark} saved` : one.undo ? "mark taken away" : one.back ? "taken back" : "note saved";
    const many = now.length > 1 ? `, ${now.length} frames` : "";
    this.reading.say(`${one.facts.name}: ${said}${many}.`);
    this.reading.refresh();
    if (one.mark && here) this.reading.follow(one.facts);
  }

  // Takes back the last mark that was made, saved or still on its way.
  undo() {
    const last = outbox.undone.pop();
    if (!last) return this.reading.say("There is no mark to take back.");
    outbox.add({ back: last, data: last.data, reader: last.reader, facts: last.facts });
    if (last.data.bundle === this.ask.data.bundle) this.reading.open(last.facts.row, last.facts.number);
  }

  // One line: what was not saved, or why marks may be old.
  trouble() {
    const line = this.find(".trouble");
    const text = outbox.trouble || this.reading.list?.trouble || "";
    line.hidden = !text;
    if (line.textContent !== text) line.textContent = text;
  }

  // The reader's name: asked once, kept in this browser, sent with every request.
  askName(focus = true) {
    this.asking = true;
    this.names();
    this.find("[name=reader]").value = this.ask.reader ?? "";
    if (focus) this.find("[name=reader]").focus();
  }

  named(given) {
    const name = given.normalize("NFC");
    localStorage.setItem("medanomaly.reader", name);
    const other = name !== this.ask.reader;
    this.asking = false;
    this.ask.reader = name;
    this.note.placeholder = "Note";
    this.names();
    const held = this.held;
    this.held = null;
    if (other) outbox.undone = [];
    this.reading.tellReader();
    const drafts = [...outbox.drafts.values()];
    outbox.drafts.clear();
    for (const { shown, text } of drafts) this.sendNote(shown, text);
    // What the new reader may see is asked for first: a mark is then his own.
    this.reading.renew(() => {
      const { shown } = this.reading;
      if (held && shown && this.decision(shown) === held.of) this.press(held.mark, held);
      else if (held) this.reading.say(`Not marked: ${held.name} is not shown any more as it was.`);
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
