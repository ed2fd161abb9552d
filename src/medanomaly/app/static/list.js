// The worklist: one button a row. Names are set as text, never as HTML.
const WRITING =
  "input:not([type=range], [type=radio], [type=checkbox]), textarea, select, [contenteditable=true], [role=dialog]";

export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector("ol");
  const pick = (id) => {
    list.pending = { id, at: Date.now() };
    setTriggerValue("pick", id);
  };
  if (list.pending?.id === data.selected) list.pending = null;
  // J and K step from where the last press went, which the page may not have reached yet: none is lost.
  document.removeEventListener("keydown", list.keys);
  list.keys = (event) => {
    const by = { j: 1, k: -1 }[event.key.toLowerCase()];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.composedPath()[0].closest?.(WRITING)) return;
    const fresh = list.pending && Date.now() - list.pending.at < 5000;
    const place = data.order.indexOf(fresh ? list.pending.id : data.selected);
    const next = data.order[place + by];
    if (next !== undefined) pick(next);
  };
  document.addEventListener("keydown", list.keys);
  const known = new Map([...list.children].map((row) => [row.dataset.id, row]));
  const wanted = data.rows.map((row) => draw(known.get(String(row.id)), row));
  list.replaceChildren(...wanted);
  if (list.dataset.selected !== String(data.selected)) {
    list.dataset.selected = String(data.selected);
    // The list alone is scrolled, and never the page.
    const chosen = wanted.find((row) => row.dataset.id === String(data.selected));
    if (chosen) {
      const above = chosen.offsetTop - list.offsetTop;
      if (above < list.scrollTop) list.scrollTop = above;
      const below = above + chosen.offsetHeight - list.clientHeight;
      if (below > list.scrollTop) list.scrollTop = below;
    }
  }
  return () => document.removeEventListener("keydown", list.keys);

  function draw(row, one) {
    if (!row) {
      row = document.createElement("li");
      row.dataset.id = String(one.id);
      const button = document.createElement("button");
      button.append(
        Object.assign(document.createElement("img"), { alt: "", width: 56, height: 56, draggable: false }),
        Object.assign(document.createElement("span"), { className: "words" }),
      );
      button.querySelector(".words").append(
        ...["name", "said", "mark"].map((name) => Object.assign(document.createElement("span"), { className: name })),
      );
      button.onclick = () => pick(one.id);
      row.append(button);
    }
    const button = row.firstChild;
    const image = button.querySelector("img");
    if (one.thumb && image.src !== one.thumb) image.src = one.thumb;
    image.style.visibility = one.thumb ? "visible" : "hidden";
    button.querySelector(".name").textContent = one.name;
    button.querySelector(".said").textContent = one.said;
    button.querySelector(".mark").textContent = one.mark;
    button.title = one.title;
    button.dataset.decision = one.decision;
    button.setAttribute("aria-current", String(one.id === data.selected));
    return row;
  }
}
