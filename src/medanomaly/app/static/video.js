// A video's scores over its time, with the reader's marks; frames, segments and playing, by mouse and by keyboard.
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [1000, 140, 44, 110];
const SIGNS = { agree: "✓", disagree: "✗", unsure: "?" };

export class Video {
  constructor(root, reading) {
    this.root = root.querySelector(".video");
    this.svg = this.root.querySelector(".timeline");
    this.reading = reading;
    Object.assign(this, { video: null, row: null, playing: false });
    for (const button of this.root.querySelectorAll("[data-do]")) button.onclick = () => this.do(button.dataset.do);
    this.svg.onclick = (event) => this.click(event);
    const keys = {
      ArrowLeft: "frameBefore", ArrowRight: "frameAfter", PageUp: "segmentBefore", PageDown: "segmentAfter",
      Home: "first", End: "last",
    };
    this.svg.onkeydown = (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.do(keys[event.key]);
    };
  }

  // One of the moves, if a video is shown; returns whether there is one.
  do(what) {
    const video = this.video;
    if (!video) return false;
    if (what === "play") return this.play(!this.playing), true;
    this.play(false);
    const later = (by) => {
      const at = this.number;
      return by > 0 ? video.peaks.find((peak) => peak > at) : video.peaks.filter((peak) => peak < at).pop();
    };
    const { points } = video;
    const to = {
      frameBefore: video.previous, frameAfter: video.next, segmentBefore: later(-1), segmentAfter: later(1),
      first: points[0]?.[0], last: points[points.length - 1]?.[0],
    }[what];
    if (to === undefined || to === null) this.reading.say("There is no further one.");
    else this.reading.open(this.row, to);
    return true;
  }

  play(on) {
    this.playing = on;
    this.root.querySelector("[data-do=play]").setAttribute("aria-pressed", String(on));
    if (on) this.ahead();
  }

  // The next frame follows as soon as all of it is there, and the last was seen for a moment.
  ahead() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (!this.playing || !this.video) return;
      if (this.video.next === null || this.reading.keys.writing) return this.play(false);
      this.reading.open(this.row, this.video.next, true);
    }, 120);
  }

  paint({ facts }) {
    const video = facts.video ?? null;
    this.root.hidden = !video;
    if (!video || facts.row !== this.row) this.play(false);
    Object.assign(this, { video, row: facts.row, number: facts.number });
    if (!video) return;
    this.root.querySelector(".said").textContent = video.said;
    this.root.querySelector(".segments").replaceChildren(
      ...video.listed.map(([number, text]) => {
        const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
        button.onclick = () => (this.play(false), this.reading.open(this.row, number));
        return button;
      }),
    );
    this.draw(video);
    if (this.playing) this.ahead();
  }

  draw(video) {
    const end = Math.max(video.end, 1e-6);
    const x = (time) => LEFT + ((WIDTH - LEFT - 6) * time) / end;
    const y = (score) => BOTTOM - (BOTTOM - 8) * score;
    const svg = this.svg;
    svg.replaceChildren();
    const told = { "aria-label": video.alt, "aria-valuemin": 0, "aria-valuemax": video.end, "aria-valuenow": video.now };
    for (const [name, value] of Object.entries({ ...told, "aria-valuetext": video.clock })) svg.setAttribute(name, value);
    const add = (kind, attributes, text) => {
      const part = document.createElementNS("http://www.w3.org/2000/svg", kind);
      for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
      if (text !== undefined) part.textContent = text;
      svg.append(part);
    };
    for (const [from, to] of video.segments) {
      add("rect", { class: "segment", x: x(from) - 2, width: x(to) - x(from) + 4, y: 8, height: BOTTOM - 8 });
    }
    for (const score of [0, 0.5, 1]) {
      add("path", { class: score === 0.5 ? "point" : "axis", d: `M${LEFT} ${y(score)}H${WIDTH - 6}` });
      add("text", { x: LEFT - 6, y: y(score) + 7, "text-anchor": "end" }, score);
    }
    video.ticks.forEach(([time, text], index) => {
      const anchor = index === 0 ? "start" : index === video.ticks.length - 1 ? "end" : "middle";
      add("text", { x: x(time), y: HEIGHT - 4, "text-anchor": anchor }, text);
    });
    add("polyline", { class: "line", points: video.points.map(([, time, score]) => `${x(time)},${y(score)}`).join(" ") });
    for (const [, time, score, flagged] of video.points) {
      if (flagged) add("circle", { class: "flag", cx: x(time), cy: y(score), r: 4 });
    }
    for (const [, time, mark] of video.marks) {
      add("text", { class: `marked ${mark}`, x: x(time), y: 18, "text-anchor": "middle" }, SIGNS[mark]);
    }
    add("path", { class: "now", d: `M${x(video.now)} 4V${BOTTOM}` });
  }

  click(event) {
    const { points, end } = this.video;
    const box = this.svg.getBoundingClientRect();
    const time = ((((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - 6)) * end;
    const far = (point) => Math.abs(point[1] - time);
    this.play(false);
    if (points.length) this.reading.open(this.row, points.reduce((a, b) => (far(b) < far(a) ? b : a))[0]);
  }
}
