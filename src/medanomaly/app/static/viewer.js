// The viewer: image, heat map and outline as layers; opacity, views and zoom are the browser's own work.
// What was set stays set from one image to the next, but for the zoom.
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".viewer");
  const state = (root.state ??= { view: "overlay", zoom: 1, x: 0, y: 0 });
  const find = (selector) => root.querySelector(selector);
  if (!root.ready) {
    root.ready = true;
    for (const button of root.querySelectorAll("[data-view]")) {
      button.onclick = () => ((state.view = button.dataset.view), show());
    }
    for (const name of ["opacity", "outline", "swipe"]) find(`[name=${name}]`).oninput = show;
    for (const button of root.querySelectorAll("[data-zoom]")) {
      button.onclick = () => zoom(Number(button.dataset.zoom) || 1 / state.zoom);
    }
    const panes = find(".panes");
    panes.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey && state.zoom === 1 && event.deltaY > 0) return; // the page scrolls
        event.preventDefault();
        zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2);
      },
      { passive: false },
    );
    panes.ondblclick = () => zoom(state.zoom > 1 ? 1 / state.zoom : 2);
    panes.onpointerdown = (event) => {
      if (state.zoom === 1) return;
      panes.setPointerCapture(event.pointerId);
      panes.onpointermove = (move) => ((state.x += move.movementX), (state.y += move.movementY), place());
    };
    panes.onpointerup = panes.onpointercancel = () => (panes.onpointermove = null);
    new ResizeObserver(() => place()).observe(panes);
  }
  if (state.key !== data.key) Object.assign(state, { key: data.key, zoom: 1, x: 0, y: 0 });
  state.size = [data.width, data.height];
  for (const image of root.querySelectorAll(".image")) Object.assign(image, { src: data.image, alt: data.alt });
  const heat = find(".heat");
  heat.hidden = !data.heat;
  if (data.heat) heat.src = data.heat;
  find("svg").setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
  find("path").setAttribute("d", data.path);
  for (const part of root.querySelectorAll(".layered")) part.hidden = !data.heat;
  show();

  function show() {
    const view = data.heat || state.view === "plain" ? state.view : "plain";
    for (const button of root.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    find(".plain").hidden = view !== "side";
    find(".swipe").hidden = view !== "swipe";
    const bare = view === "plain";
    find(".heat").style.opacity = bare ? 0 : Number(find("[name=opacity]").value) / 100;
    find("svg").style.visibility = !bare && find("[name=outline]").checked ? "visible" : "hidden";
    find(".layers").style.clipPath = view === "swipe" ? `inset(0 0 0 ${find("[name=swipe]").value}%)` : "none";
    find(".cut").style.left = `${find("[name=swipe]").value}%`;
    find(".cut").hidden = view !== "swipe";
    place();
  }

  function zoom(factor) {
    state.zoom = Math.min(16, Math.max(1, state.zoom * factor));
    if (state.zoom === 1) state.x = state.y = 0;
    place();
  }

  function place() {
    const [width, height] = state.size;
    for (const pane of root.querySelectorAll(".pane:not([hidden])")) {
      const fit = Math.min(pane.clientWidth / width, pane.clientHeight / height);
      const stage = pane.querySelector(".stage");
      stage.style.width = `${width * fit}px`;
      stage.style.height = `${height * fit}px`;
      stage.style.transform = `translate(${state.x}px, ${state.y}px) scale(${state.zoom})`;
      stage.classList.toggle("sharp", fit * state.zoom > 6);
    }
    find(".panes").style.touchAction = state.zoom > 1 ? "none" : "auto";
    root.dataset.zoom = state.zoom.toFixed(2);
    find(".zoomed").textContent = `${Math.round(state.zoom * 100)} %`;
  }
}
