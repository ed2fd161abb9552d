// A video's scores over its time. A click jumps to the nearest scored frame.
const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [1000, 140, 44, 110];

export default function ({ data, parentElement, setTriggerValue }) {
  const svg = parentElement.querySelector("svg");
  const end = Math.max(data.end, 1e-6);
  const x = (time) => LEFT + ((WIDTH - LEFT - 6) * time) / end;
  const y = (score) => BOTTOM - (BOTTOM - 8) * score;
  svg.replaceChildren();
  svg.setAttribute("aria-label", data.alt);
  for (const [from, to] of data.segments) {
    add("rect", { class: "segment", x: x(from) - 2, width: x(to) - x(from) + 4, y: 8, height: BOTTOM - 8 });
  }
  for (const score of [0, 0.5, 1]) {
    add("path", { class: score === 0.5 ? "point" : "axis", d: `M${LEFT} ${y(score)}H${WIDTH - 6}` });
    add("text", { x: LEFT - 6, y: y(score) + 7, "text-anchor": "end" }, score);
  }
  data.ticks.forEach(([time, text], index) => {
    const anchor = index === 0 ? "start" : index === data.ticks.length - 1 ? "end" : "middle";
    add("text", { x: x(time), y: HEIGHT - 4, "text-anchor": anchor }, text);
  });
  add("polyline", { class: "line", points: data.points.map(([, time, score]) => `${x(time)},${y(score)}`).join(" ") });
  for (const [, time, score, flagged] of data.points) {
    if (flagged) add("circle", { class: "flag", cx: x(time), cy: y(score), r: 4 });
  }
  if (data.now !== null) add("path", { class: "now", d: `M${x(data.now)} 4V${BOTTOM}` });
  svg.onclick = (event) => {
    const box = svg.getBoundingClientRect();
    const time = ((((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - 6)) * end;
    const far = (point) => Math.abs(point[1] - time);
    if (data.points.length) setTriggerValue("pick", data.points.reduce((a, b) => (far(b) < far(a) ? b : a))[0]);
  };

  function add(kind, attributes, text) {
    const element = document.createElementNS(SVG, kind);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    svg.append(element);
  }
}
