// What is asked of the server, always with the session's secret, the reader, and the operating point on the screen.
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export class Trouble extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export class Ask {
  constructor() {
    this.data = null;
    this.reader = null; // nobody has said yet who reads
  }

  // What an answer depends on: one of another session, bundle, point or reader is another answer.
  get key() {
    return JSON.stringify([this.data.token, this.data.bundle, this.data.threshold, this.reader]);
  }

  // An image's number is of one session and one bundle.
  get place() {
    return `${this.data.token}/${this.data.bundle}`;
  }

  async _fetch(path, params, options = {}) {
    const query = new URLSearchParams({ bundle: this.data.bundle, ...params });
    if (this.data.threshold !== null) query.set("threshold", this.data.threshold);
    const headers = { "X-Session": this.data.token };
    if (this.reader !== null) headers["X-Reader"] = encodeURIComponent(this.reader.toWellFormed());
    for (;;) {
      let answer;
      try {
        answer = await fetch(`/read/${path}?${query}`, { headers, cache: "no-store", ...options });
      } catch {
        throw new Trouble(0, "the server does not answer. Is it still running?");
      }
      if (answer.status === 202) {
        await pause(200);
        continue;
      }
      if (!answer.ok) {
        const said = await answer.json().catch(() => ({}));
        throw new Trouble(answer.status, said.error || `the server answers ${answer.status}`);
      }
      return answer;
    }
  }

  async json(path, params = {}) {
    return (await this._fetch(path, params)).json();
  }

  async post(path, content) {
    return (await this._fetch(path, {}, { method: "POST", body: JSON.stringify(content) })).json();
  }

  // A layer as the browser's own picture, decoded off the page's thread and with its bytes as they are.
  async bitmap(number, layer, params = {}) {
    const blob = await (await this._fetch(`picture/${number}/${layer}`, params)).blob();
    return createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  }

  async address(number, layer, params = {}) {
    return URL.createObjectURL(await (await this._fetch(`picture/${number}/${layer}`, params)).blob());
  }

  async values(number) {
    const answer = await this._fetch(`picture/${number}/values`, {});
    const told = JSON.parse(answer.headers.get("X-Picture"));
    const bytes = new DataView(await answer.arrayBuffer());
    const stored = new Uint16Array(bytes.byteLength / 2);
    for (let i = 0; i < stored.length; i += 1) stored[i] = bytes.getUint16(2 * i, true);
    return { ...told, stored };
  }
}
