// The worklist: one button a row. Names are set as text, never as HTML.
const FILTERS = ["all", "abnormal", "normal", "unmarked", "unreadable"];
const THUMBNAILS = 2; // asked for side by side: the browser has few lines to the server, and marks need one

export class List {
  constructor(root, ask, reading) {
    this.root = root.querySelector(".left");
    this.ask = ask;
    this.reading = reading;
    Object.assign(this, { which: "all", page: 0, answer: null, have: "", asked: "", chosen: null, follows: true });
    Object.assign(this, { addresses: new Map(), wanted: [], drawing: 0, trouble: "", heard: 0 });
    const turn = (by) => () => ((this.page += by), (this.follows = false), reading.refresh());
    this.find(".earlier").onclick = turn(-1);
    this.find(".later").onclick = turn(1);
    this.find(".previous").onclick = () => reading.step(-1);
    this.find(".next").onclick = () => reading.step(1);
    for (const name of FILTERS) {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.dataset.which = name;
      button.onclick = () => ((this.which = name), (this.page = 0), (this.follows = true), reading.refresh());
      this.find(".which").append(button);
    }
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  // Another session has images of its own under the same numbers.
  reset() {
    for (const address of this.addresses.values()) if (address) URL.revokeObjectURL(address);
    Object.assign(this, { page: 0, answer: null, have: "", asked: "", chosen: null, follows: true, wanted: [] });
    this.addresses = new Map();
    this.find("ol").replaceChildren();
  }

  // Asks for what has changed; returns whether images are being scored.
  async refresh() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    if (this.follows && this.chosen !== null && this.answer) {
      const at = this.answer.order.indexOf(this.chosen);
      if (at >= 0) this.page = Math.floor(at / this.answer.size);
    }
    const asked = JSON.stringify([this.ask.key, this.which, this.page]);
    const have = asked === this.asked ? this.have : "";
    const answer = await this.ask.json("list", { which: this.which, page: this.page, have });
    // The reader or the point may have changed on the way: what is of another is not shown.
    if (asked !== JSON.stringify([this.ask.key, this.which, this.page])) return this.refresh();
    if (turn < this.heard) return answer.busy; // an answer that was asked for later came first
    this.heard = turn;
    this.trouble = answer.trouble;
    this.find(".progress").hidden = !answer.busy;
    if (answer.busy) {
      this.find("progress").value = answer.known ? answer.done / answer.known : 0;
      this.find(".progress span").textContent = `${answer.done} of ${answer.known} scored`;
    }
    if (answer.order) {
      this.answer = answer;
      this.page = answer.page;
      const at = answer.order.indexOf(this.chosen);
      this.asked = JSON.stringify([this.ask.key, this.which, this.page]);
      this.have = answer.state;
      this.draw();
      // The row on the screen may have moved to another page while others came in between.
      if (this.follows && at >= 0 && Math.floor(at / answer.size) !== this.page) return this.refresh();
    }
    return answer.busy;
  }

  get order() {
    return this.answer?.order ?? [];
  }

  opens(row) {
    return this.answer.opens[row] ?? row;
  }

  // Called together with the picture: the row of the image on the screen.
  choose(row) {
    if (this.chosen !== row) this.follows = true;
    this.chosen = row;
    const at = this.order.indexOf(row);
    if (at >= 0) this.place = at;
    this.highlight(true);
  }

  // The row a number of steps away. From a row that no longer passes the filter one steps from where it stood.
  away(row, by) {
    const at = this.order.indexOf(row);
    const from = at >= 0 ? at : by > 0 ? (this.place ?? 0) - 1 : (this.place ?? 0);
    return this.order[from + by];
  }

  // The next row that the reader has not marked, below a row.
  unmarkedAfter(row) {
    const marked = new Set(this.answer?.marked);
    const at = this.order.indexOf(row);
    return this.order.slice(at >= 0 ? at + 1 : (this.place ?? 0)).find((one) => one !== row && !marked.has(one));
  }

  draw() {
    const { counts, rows, order, page, size } = this.answer;
    const none = !counts.all;
    this.find(".hint").hidden = !none;
    this.find(".steps").hidden = this.find(".which").hidden = none;
    for (const button of this.find(".which").children) {
      const name = button.dataset.which;
      button.textContent = `${name} ${counts[name]}`;
      button.hidden = !counts[name] && name !== "all" && name !== this.which;
      button.setAttribute("aria-pressed", String(name === this.which));
    }
    this.find(".nothing").hidden = none || !!order.length;
    const list = this.find("ol");
    const known = new Map([...list.children].map((row) => [row.dataset.id, row]));
    // Rows that stay where they are are not touched: one that is taken out and put back loses its focus, or a click.
    rows.forEach((one, at) => {
      const row = this.row(known.get(String(one.id)), one);
      if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
    });
    while (list.children.length > rows.length) list.lastChild.remove();
    this.wanted = rows.filter((row) => row.decision !== "failed" && !this.addresses.has(this.name(row.open))).map((row) => row.open);
    while (this.drawing < THUMBNAILS && this.wanted.length) this.thumbnails();
    const pages = Math.ceil(order.length / size);
    this.find(".pages").hidden = pages < 2;
    this.find(".pages span").textContent = `${page * size + 1}–${page * size + rows.length} of ${order.length}`;
    this.find(".earlier").disabled = page === 0;
    this.find(".later").disabled = page + 1 >= pages;
    this.highlight(false);
  }

  highlight(scroll) {
    const list = this.find("ol");
    for (const row of list.children) {
      const chosen = row.dataset.id === String(this.chosen);
      row.firstChild.setAttribute("aria-current", String(chosen));
      if (!chosen || !scroll) continue;
      // The list alone is scrolled, and never the page.
      const above = row.offsetTop;
      if (above < list.scrollTop) list.scrollTop = above;
      const below = above + row.offsetHeight - list.clientHeight;
      if (below > list.scrollTop) list.scrollTop = below;
    }
    const at = this.order.indexOf(this.reading.target?.row ?? this.chosen);
    this.find(".previous").disabled = at === 0;
    this.find(".next").disabled = at >= 0 && at + 1 >= this.order.length;
  }

  row(row, one) {
    if (!row) {
      row = document.createElement("li");
      row.dataset.id = String(one.id);
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.append(
        Object.assign(document.createElement("img"), { alt: "", width: 56, height: 56, draggable: false }),
        Object.assign(document.createElement("span"), { className: "words" }),
      );
      button.querySelector(".words").append(
        ...["name", "said", "mark"].map((name) => Object.assign(document.createElement("span"), { className: name })),
      );
      row.append(button);
    }
    const button = row.firstChild;
    button.onclick = () => this.reading.open(one.id, one.open);
    for (const name of ["name", "said", "mark"]) button.querySelector(`.${name}`).textContent = one[name];
    Object.assign(button, { title: one.title });
    button.dataset.decision = one.decision;
    row.dataset.open = String(one.open);
    this.picture(row);
    return row;
  }

  name(number) {
    return `${this.ask.place}/${number}`;
  }

  picture(row) {
    const image = row.querySelector("img");
    const address = this.addresses.get(this.name(row.dataset.open));
    if (address && image.getAttribute("src") !== address) image.src = address;
    image.style.visibility = address ? "visible" : "hidden";
  }

  async thumbnails() {
    this.drawing += 1;
    while (this.wanted.length) {
      const number = this.wanted.shift();
      const name = this.name(number);
      if (this.addresses.has(name)) continue;
      this.addresses.set(name, "");
      try {
        this.addresses.set(name, await this.ask.address(number, "thumbnail"));
        for (const row of this.find("ol").children) if (row.dataset.open === String(number)) this.picture(row);
      } catch (error) {
        if (!error.status) this.addresses.delete(name); // the server was away: asked for again with the next list
      }
    }
    this.drawing -= 1;
  }
}
