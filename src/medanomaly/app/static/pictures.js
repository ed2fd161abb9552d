// Everything of an image that is shown at once: its words and its layers. Kept for a few images, read ahead.
const KEPT = 8;

export class Pictures {
  constructor(ask) {
    this.ask = ask;
    this.layers = new Map();
    this.facts = new Map();
  }

  // A promise of all of an image; nothing of it is shown before it is there.
  async get(number, ahead = false) {
    const params = ahead ? { ahead: 1 } : {};
    const facts = await this._kept(this.facts, `${this.ask.key}/${number}`, () => this.ask.json(`image/${number}`, params));
    const layers = facts.error
      ? null
      : await this._kept(this.layers, `${this.ask.place}/${number}`, () => this._layers(number, facts, params));
    return { facts, layers };
  }

  // What is there of an image already, or null.
  ready(number) {
    const facts = this.facts.get(`${this.ask.key}/${number}`)?.found;
    const layers = this.layers.get(`${this.ask.place}/${number}`)?.found;
    return facts && (facts.error || layers) ? { facts, layers: layers ?? null } : null;
  }

  // A reader's saved mark, wherever the image's words are kept.
  saved(number, own, others) {
    for (const [key, { found }] of this.facts) {
      if (found && key === `${this.ask.key}/${number}`) Object.assign(found, { own, others });
      else if (found?.video || key.endsWith(`/${number}`)) this.facts.delete(key); // its timeline shows marks of others
    }
  }

  async _layers(number, facts, params) {
    const [image, heat] = await Promise.all([
      this.ask.bitmap(number, "image", params),
      facts.picture.heat ? this.ask.bitmap(number, "heat", params) : null,
    ]);
    return { image, heat, values: null, window: { ...facts.picture.window } };
  }

  _kept(map, key, make) {
    const known = map.get(key);
    if (known) {
      map.delete(key);
      map.set(key, known);
      return known.promise;
    }
    const entry = { promise: make(), found: null };
    map.set(key, entry);
    entry.promise.then(
      (found) => (entry.found = found),
      () => map.get(key) === entry && map.delete(key),
    );
    while (map.size > KEPT) map.delete(map.keys().next().value);
    return entry.promise;
  }
}
