// The worklist: one button a row. Names are set as text, never as HTML.
export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector("ol");
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
      button.onclick = () => setTriggerValue("pick", one.id);
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
