// The keyboard: by the letter on a key; by its place where keyboards have other letters, and never while someone writes.
const WRITING =
  "input:not([type=range], [type=radio], [type=checkbox], [type=file], [type=button]), textarea, select, " +
  "[contenteditable=true], [role=dialog], [role=combobox], [role=listbox]";

const LETTERS = {
  a: "KeyA", d: "KeyD", j: "KeyJ", k: "KeyK", p: "KeyP", u: "KeyU", z: "KeyZ",
  ",": "Comma", ".": "Period", "[": "BracketLeft", "]": "BracketRight",
};

export class Keys {
  constructor(root, reading) {
    this.letters = root.querySelector("[name=letters]");
    this.letters.checked = localStorage.getItem("medanomaly.letters") !== "off";
    this.letters.onchange = () => localStorage.setItem("medanomaly.letters", this.letters.checked ? "on" : "off");
    this.reading = reading;
    this.within = this.left = this.astray = false;
    // Of keys that are held down: what was typed goes on as text, and what acted goes on acting, wherever the focus goes.
    this.typed = new Set();
    this.acted = new Set();
    const { marks, video } = reading;
    this.single = {
      KeyJ: () => reading.step(1), KeyK: () => reading.step(-1),
      KeyA: () => marks.press("agree"), KeyD: () => marks.press("disagree"),
      KeyU: () => marks.press("unsure"), KeyZ: () => marks.undo(),
      KeyP: () => video.do("play"), Comma: () => video.do("frameBefore"), Period: () => video.do("frameAfter"),
      BracketLeft: () => video.do("segmentBefore"), BracketRight: () => video.do("segmentAfter"),
    };
    this.shifted = Object.fromEntries(
      [["KeyA", "agree"], ["KeyD", "disagree"], ["KeyU", "unsure"]].map(([code, mark]) => [
        code,
        () => (reading.shown?.facts.video?.within.length ? marks.press(mark, { segment: true }) : reading.say("No suspicious segment is shown.")),
      ]),
    );
    this.handlers = {
      keydown: (event) => this.down(event),
      // A field that goes while someone writes in it does not hand what he types on to the shortcuts.
      focusin: (event) => (this.within = isWriting(event)),
      focusout: (event) => this.out(event),
      keyup: ({ code }) => (this.typed.delete(code), this.acted.delete(code)),
      pointerdown: () => ((this.left = true), (this.astray = false)),
    };
    // The focus that moves within the reading part is not told outside of it.
    this.inner = root.getRootNode();
    for (const [name, handler] of Object.entries(this.handlers)) document.addEventListener(name, handler, true);
    for (const name of ["focusin", "focusout"]) this.inner.addEventListener(name, this.handlers[name], true);
  }

  // Whether someone has a field before him in which he writes.
  get writing() {
    let at = document.activeElement;
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    return !!at?.closest?.(WRITING);
  }

  close() {
    for (const [name, handler] of Object.entries(this.handlers)) document.removeEventListener(name, handler, true);
    for (const name of ["focusin", "focusout"]) this.inner.removeEventListener(name, this.handlers[name], true);
  }

  out(event) {
    if (this.within && !this.left && document.hasFocus()) this.astray = true;
    this.within = this.left = false;
  }

  down(event) {
    const { code, repeat } = event;
    // A button that marks, pressed by a key that is held down, would mark one image after the other.
    if (repeat && event.key === "Enter" && event.composedPath()[0].closest?.("[data-mark], .undo")) return event.preventDefault();
    if (!repeat) (this.typed.delete(code), this.acted.delete(code));
    if (isWriting(event)) {
      if (repeat && this.acted.has(code)) return event.preventDefault();
      if (code) this.typed.add(code);
      this.left = ["Enter", "Escape", "Tab"].includes(event.key);
      return;
    }
    if (["Enter", "Escape", "Tab"].includes(event.key)) this.astray = false;
    if (repeat && this.typed.has(code)) return;
    if (event.isComposing || event.keyCode === 229 || event.altKey || event.metaKey || event.getModifierState("AltGraph")) return;
    const place = meant(event);
    const back = place === "KeyZ" && event.ctrlKey && !event.shiftKey;
    if (event.ctrlKey && !back) return;
    if (!back && !this.letters.checked) return;
    const act = back ? this.single.KeyZ : (event.shiftKey ? this.shifted : this.single)[place];
    if (!act) return;
    if (this.astray) return this.reading.say("The field you wrote in has gone: press Esc, then keys work again.");
    // A key that is held down goes on stepping, and marks once.
    if (repeat && !["KeyJ", "KeyK", "Comma", "Period"].includes(place)) return;
    event.preventDefault(); // where the key brings a field up, it is not typed into it
    if (code) this.acted.add(code);
    act();
  }
}

function meant(event) {
  const key = event.key.toLowerCase();
  return LETTERS[key] ?? (/^[a-z]$/.test(key) ? "" : event.code);
}

function isWriting(event) {
  const target = event.composedPath()[0];
  return !!target.closest?.(WRITING);
}
