// The drop field: files go to the server a few at a time, each on its own, and are scored while others follow.
const SIDE_BY_SIDE = 4;

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".drop");
  root.data = data;
  root.tell = setTriggerValue;
  const said = root.querySelector(".said");
  if (!root.sending) said.textContent ||= data.limits;
  if (root.ready) return;
  root.ready = true;
  for (const input of root.querySelectorAll("input")) {
    input.onchange = () => {
      send([...input.files].map((file) => [file.webkitRelativePath || file.name, file]));
      input.value = "";
    };
  }
  root.ondragover = (event) => (event.preventDefault(), root.classList.add("over"));
  root.ondragleave = () => root.classList.remove("over");
  root.ondrop = async (event) => {
    event.preventDefault();
    root.classList.remove("over");
    // All entries are taken before the first wait: after it the browser has emptied the list.
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    send((await Promise.all(entries.map(walk))).flat());
  };

  async function walk(entry) {
    if (entry.isFile) {
      const file = await new Promise((done, failed) => entry.file(done, failed));
      return [[entry.fullPath.replace(/^\//, ""), file]];
    }
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) break;
      found.push(...(await Promise.all(some.map(walk))).flat());
    }
    return found.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  async function send(files) {
    if (!files.length) return;
    root.sending = (root.sending ?? 0) + 1;
    root.tell("pick", files.length);
    let next = 0;
    let done = 0;
    const failed = [];
    const one = async () => {
      while (next < files.length) {
        const [name, file] = files[next++];
        try {
          const headers = { "X-Session": root.data.token, "X-Name": encodeURIComponent(name) };
          const answer = await fetch(root.data.path, { method: "PUT", headers, body: file });
          if (!answer.ok && answer.status !== 413) failed.push(`${name}: ${await answer.text()}`);
        } catch {
          failed.push(`${name}: was not sent. Is the server still running, and the file still there?`);
        }
        done += 1;
        // The list looks for itself: what is told to Streamlit while it runs is lost at times.
        window.dispatchEvent(new Event("medanomaly.sent"));
        if (root.sending === 1) said.textContent = `${done} of ${files.length} sent`;
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, one));
    root.sending -= 1;
    said.textContent = failed.length ? failed.slice(0, 5).join("\n") : root.data.limits;
    if (!root.sending) root.tell("pick", 0);
  }
}
