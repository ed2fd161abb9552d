// The keyboard: by the place of a key, so that it is the same on every keyboard, and never while someone writes.
const WRITING =
  "input:not([type=range], [type=radio], [type=checkbox], [type=file], [type=button]), textarea, select, " +
  "[contenteditable=true], [role=dialog], [role=combobox], [role=listbox]";

export class Keys {
  constructor(root, reading) {
    this.letters = root.querySelector("[name=letters]");
    this.letters.checked = localStorage.getItem("medanomaly.letters") !== "off";
    this.letters.onchange = () => localStorage.setItem("medanomaly.letters", this.letters.checked ? "on" : "off");
    this.reading = reading;
    this.writing = this.left = this.astray = false;
    const { marks, video } = reading;
    this.single = {
      KeyJ: () => reading.step(1), KeyK: () => reading.step(-1),
      KeyA: () => marks.press("agree", { key: true }), KeyD: () => marks.press("disagree", { key: true }),
      KeyU: () => marks.press("unsure", { key: true }), KeyZ: () => marks.undo(),
      KeyP: () => video.do("play"), Comma: () => video.do("frameBefore"), Period: () => video.do("frameAfter"),
      BracketLeft: () => video.do("segmentBefore"), BracketRight: () => video.do("segmentAfter"),
    };
    this.shifted = Object.fromEntries(
      [["KeyA", "agree"], ["KeyD", "disagree"], ["KeyU", "unsure"]].map(([code, mark]) => [
        code,
        () => (reading.shown?.facts.video?.within.length ? marks.press(mark, { key: true, segment: true }) : reading.say("No suspicious segment is shown.")),
      ]),
    );
    this.handlers = {
      keydown: (event) => this.down(event),
      // A field that goes while someone writes in it does not hand what he types on to the shortcuts.
      focusin: (event) => (this.writing = isWriting(event)),
      focusout: (event) => this.out(event),
      pointerdown: () => ((this.left = true), (this.astray = false)),
    };
    for (const [name, handler] of Object.entries(this.handlers)) document.addEventListener(name, handler, true);
  }

  close() {
    for (const [name, handler] of Object.entries(this.handlers)) document.removeEventListener(name, handler, true);
  }

  out(event) {
    if (this.writing && !this.left && document.hasFocus()) this.astray = true;
    this.writing = this.left = false;
  }

  down(event) {
    if (isWriting(event)) {
      this.left = ["Enter", "Escape", "Tab"].includes(event.key);
      return;
    }
    if (["Enter", "Escape", "Tab"].includes(event.key)) this.astray = false;
    if (event.isComposing || event.altKey || event.metaKey) return;
    const back = event.code === "KeyZ" && event.ctrlKey && !event.shiftKey;
    if (event.ctrlKey && !back) return;
    if (!back && !this.letters.checked) return;
    const act = back ? this.single.KeyZ : (event.shiftKey ? this.shifted : this.single)[event.code];
    if (!act) return;
    if (this.astray) return this.reading.say("The field you wrote in has gone: press Esc, then keys work again.");
    // A key that is held down goes on stepping, and marks once.
    if (event.repeat && !["KeyJ", "KeyK", "Comma", "Period"].includes(event.code)) return;
    event.preventDefault(); // where the key brings a field up, it is not typed into it
    act();
  }
}

function isWriting(event) {
  const target = event.composedPath()[0];
  return !!target.closest?.(WRITING);
}
