// The words beside the picture, and what lies one click below it. All of it is set as text, never as HTML.
const element = (kind, text, attributes = {}) =>
  Object.assign(document.createElement(kind), { textContent: text, ...attributes });

export class Panel {
  constructor(root, ask) {
    this.root = root;
    this.ask = ask;
    this.facts = null;
    this.addresses = [];
    const more = { ".input": () => this.input(), ".header": () => this.header(), ".compare": () => this.compare() };
    this.more = Object.entries(more).map(([selector, fill]) => [root.querySelector(`details${selector}`), fill]);
    for (const [details, fill] of this.more) details.ontoggle = () => details.open && this.fill(details, fill);
    this.find("[name=personal]").onchange = () => this.fill(this.find("details.header"), () => this.header());
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  paint({ facts }) {
    const same = this.facts?.number === facts.number && this.facts.bundle === facts.bundle;
    this.facts = facts;
    this.find(".title").textContent = facts.name;
    this.find(".failed").hidden = !facts.error;
    this.find(".failed").textContent = facts.error ? `${facts.name} ${facts.error}` : "";
    const badge = this.find(".badge");
    badge.hidden = !!facts.error;
    badge.textContent = facts.badge ?? "";
    badge.dataset.decision = facts.decision ?? "";
    this.find(".moved").hidden = !facts.moved;
    this.find(".figures").replaceChildren(
      ...(facts.figures ?? []).map(([label, value, help]) => {
        const figure = element("div", "", { title: help });
        figure.append(element("dt", label), element("dd", value));
        return figure;
      }),
    );
    this.find(".among").textContent = facts.among ?? "";
    this.find("details.chart").hidden = !facts.chart;
    if (facts.chart) this.chart(facts.chart);
    this.find("details.input").hidden = !!facts.error;
    this.find("details.header").hidden = facts.kind !== "DICOM";
    this.find("details.compare").hidden = !!facts.error || this.ask.data.bundles < 2;
    if (same) return;
    // What is of the image before goes at once; whom a header shows is asked for anew for each image.
    this.find("[name=personal]").checked = false;
    for (const [details, fill] of this.more) {
      this.clear(details);
      if (details.open && !details.hidden) this.fill(details, fill);
    }
  }

  clear(details) {
    details.querySelector("div, table").replaceChildren();
    if (details.addresses) details.addresses.forEach((address) => URL.revokeObjectURL(address));
    details.addresses = [];
  }

  async fill(details, make) {
    const facts = this.facts;
    if (!facts) return;
    const turn = (details.turn = (details.turn ?? 0) + 1);
    let found;
    try {
      found = await make();
    } catch (error) {
      found = { parts: [element("p", error.message)], addresses: [] };
    }
    if (turn !== details.turn || facts !== this.facts) {
      found.addresses.forEach((address) => URL.revokeObjectURL(address));
      if (turn === details.turn && this.facts.number === facts.number) this.fill(details, make);
      return;
    }
    this.clear(details);
    details.addresses = found.addresses;
    details.querySelector("div, table").replaceChildren(...found.parts);
  }

  async pictures(wanted) {
    const addresses = await Promise.all(wanted.map(({ layer, params }) => this.ask.address(this.facts.number, layer, params)));
    const parts = wanted.map(({ alt, words }, index) => {
      const figure = document.createElement("figure");
      figure.append(Object.assign(new Image(), { src: addresses[index], alt }), ...words.map((text) => element("div", text)));
      return figure;
    });
    return { parts, addresses };
  }

  async input() {
    const { name, picture, seen } = this.facts;
    const wanted = { input: "as the model saw it" };
    if (picture.reconstruction) wanted.reconstruction = "as the model put it together again";
    const found = await this.pictures(
      Object.entries(wanted).map(([layer, how]) => ({ layer, params: {}, alt: `${name} ${how}`, words: [how] })),
    );
    found.parts.push(element("p", seen));
    return found;
  }

  async header() {
    const { number } = this.facts;
    const personal = this.find("[name=personal]").checked ? 1 : 0;
    const { header } = await this.ask.json(`header/${number}`, { personal });
    const rows = header.map(([name, value]) => {
      const row = document.createElement("tr");
      row.append(element("th", name, { scope: "row" }), element("td", value));
      return row;
    });
    return { parts: rows, addresses: [] };
  }

  async compare() {
    const { number, name } = this.facts;
    const { bundles } = await this.ask.json(`compare/${number}`);
    return this.pictures(
      bundles.map((one) => ({
        layer: "overlay",
        params: { by: one.bundle, size: 360 },
        alt: `${name} by ${one.name}`,
        words: [one.name, one.said, one.raw],
      })),
    );
  }

  chart({ low, high, bars, point, image, ends }) {
    const svg = this.find("details.chart svg");
    const add = (kind, attributes, text = "") => {
      const part = document.createElementNS("http://www.w3.org/2000/svg", kind);
      for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
      part.textContent = text;
      svg.append(part);
    };
    const x = (value) => 10 + 580 * Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
    const most = Math.max(...Object.values(bars).flat(), 1e-9);
    svg.replaceChildren();
    svg.setAttribute("aria-label", "Raw scores of the validation images, the operating point and this image");
    for (const [name, shares] of Object.entries(bars)) {
      shares.forEach((share, index) => {
        const width = 580 / shares.length;
        const height = (130 * share) / most;
        add("rect", { class: `bar-${name}`, x: 10 + index * width, y: 160 - height, width, height });
      });
    }
    Object.keys(bars).forEach((name, index) => {
      add("rect", { class: `bar-${name}`, x: 10 + 110 * index, y: 4, width: 12, height: 12 });
      add("text", { x: 27 + 110 * index, y: 15 }, name);
    });
    add("path", { class: "point", d: `M${x(point)} 24V160` });
    add("path", { class: "now", d: `M${x(image)} 24V160` });
    add("text", { x: 240, y: 15 }, "┆ operating point   ┃ this image");
    add("text", { x: 10, y: 178 }, ends[0]);
    add("text", { x: 590, y: 178, "text-anchor": "end" }, `${ends[1]} raw score`);
  }
}
