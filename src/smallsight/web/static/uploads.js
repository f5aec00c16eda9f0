// Uploads: pictures that are chosen, dropped or pasted are sent in parts, and go on after an interruption.

import { formToken, notify } from "./app.js";

const PART_BYTES = 4 * 1024 * 1024;
const AT_ONCE = 2;
const LONGEST_PAUSE_MS = 15_000;
const FINAL = new Set([400, 401, 403, 404, 413, 415, 422, 507]); // trying again by itself would not help

const opener = document.getElementById("add-pictures");
const waiting = [];
let numActive = 0;
let panel = null;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const inBase64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

class Refused extends Error {
  constructor(request) {
    super(request.getResponseHeader("x-problem") ?? `${request.status} ${request.statusText}`);
    this.status = request.status;
  }
}

/** Sends a request and reports how much of its body has left; a status of 0 is a broken connection. */
function ask(method, address, { headers = {}, body = null, onProgress, onStart } = {}) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    for (const [name, value] of Object.entries({ "X-Form-Token": formToken, "Tus-Resumable": "1.0.0", ...headers })) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => onProgress?.(event.loaded);
    request.onload = () => (request.status < 300 ? done(request) : failed(new Refused(request)));
    request.onerror = request.onabort = () => failed(new Refused(request));
    onStart?.(request);
    request.send(body);
  });
}

class Upload {
  constructor(file, folder) {
    this.file = file;
    this.folder = folder;
    this.key = `upload ${folder} ${file.name} ${file.size} ${file.lastModified}`;
    this.address = localStorage.getItem(this.key);
    this.isCancelled = false;
    this.row = panel.querySelector("template").content.firstElementChild.cloneNode(true);
    this.row.querySelector(".name").textContent = file.name;
    this.row.querySelector("[data-cancel]").addEventListener("click", () => this.cancel());
    this.row.querySelector("[data-retry]").addEventListener("click", () => enqueue(this));
    panel.querySelector("ul").prepend(this.row);
  }

  show(state, text, fraction) {
    this.row.dataset.state = state;
    this.row.querySelector(".state").textContent = text;
    const bar = this.row.querySelector("progress");
    if (fraction !== undefined) bar.value = fraction;
    const isOver = ["stored", "duplicate", "failed", "cancelled"].includes(state);
    bar.hidden = isOver;
    this.row.querySelector("[data-cancel]").hidden = isOver;
    this.row.querySelector("[data-retry]").hidden = state !== "failed";
  }

  async run() {
    let pause = 500;
    while (!this.isCancelled) {
      try {
        return await this.send();
      } catch (error) {
        if (this.isCancelled) return;
        if (error.status === 404 && this.address) {
          this.forget(); // too old, or finished meanwhile: it starts again
          continue;
        }
        if (!(error instanceof Refused) || FINAL.has(error.status)) {
          this.show("failed", error.message);
          return;
        }
        this.show("waiting", panel.dataset.offline);
        await sleep(pause);
        pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
      }
    }
  }

  async send() {
    let offset = this.address ? await this.offset() : await this.create();
    let answer;
    do {
      answer = await this.sendPart(offset);
      offset = Number(answer.getResponseHeader("Upload-Offset"));
    } while (offset < this.file.size);
    this.forget();
    const isDuplicate = answer.getResponseHeader("X-Upload-State") === "duplicate";
    this.show(isDuplicate ? "duplicate" : "stored", isDuplicate ? panel.dataset.duplicate : panel.dataset.stored);
    const address = answer.getResponseHeader("X-Upload-Address");
    const link = this.row.querySelector(".shown");
    if (address) link.href = address;
    link.hidden = !address;
  }

  async offset() {
    return Number((await ask("HEAD", this.address)).getResponseHeader("Upload-Offset"));
  }

  async create() {
    const metadata = `filename ${inBase64(this.file.name)},folder ${inBase64(this.folder)}`;
    const headers = { "Upload-Length": this.file.size, "Upload-Metadata": metadata };
    const answer = await ask("POST", panel.dataset.address, { headers });
    this.address = answer.getResponseHeader("Location");
    localStorage.setItem(this.key, this.address);
    return 0;
  }

  sendPart(offset) {
    const part = this.file.slice(offset, offset + PART_BYTES);
    const shown = (sent) => {
      const fraction = (offset + sent) / this.file.size;
      const isSent = fraction >= 1;
      this.show("sending", isSent ? panel.dataset.checking : `${Math.floor(100 * fraction)} %`, fraction);
    };
    shown(0);
    return ask("PATCH", this.address, {
      headers: { "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" },
      body: part,
      onProgress: shown,
      onStart: (request) => (this.request = request),
    });
  }

  cancel() {
    this.isCancelled = true;
    this.request?.abort();
    this.show("cancelled", panel.dataset.cancelled);
    if (this.address) ask("DELETE", this.address).catch(() => {});
    this.forget();
  }

  forget() {
    localStorage.removeItem(this.key);
    this.address = null;
  }
}

function enqueue(upload) {
  upload.show("waiting", panel.dataset.waiting, 0);
  waiting.push(upload);
  startNext();
}

function startNext() {
  while (numActive < AT_ONCE && waiting.length) {
    const upload = waiting.shift();
    numActive += 1;
    upload.run().finally(() => {
      numActive -= 1;
      startNext();
    });
  }
}

async function openPanel() {
  if (!panel) {
    const answer = await fetch(opener.dataset.panel);
    if (!answer.ok) throw new Error(answer.headers.get("x-problem") ?? answer.statusText);
    const template = document.createElement("template");
    template.innerHTML = await answer.text();
    panel = template.content.querySelector("#uploads");
    document.body.append(panel);
    const input = panel.querySelector("input[type=file]");
    panel.querySelector("[data-close]").addEventListener("click", () => (panel.hidden = true));
    panel.querySelector("[data-choose]")?.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      add([...input.files], "chosen");
      input.value = "";
    });
    const folder = panel.querySelector("#upload-folder");
    const last = localStorage.getItem("upload-folder");
    if (folder && [...folder.options].some((one) => one.value === last)) folder.value = last;
    folder?.addEventListener("change", () => localStorage.setItem("upload-folder", folder.value));
  }
  panel.hidden = false;
}

/** Uploads files, unless another part of the page wants them: it cancels the event. */
export async function add(files, how) {
  const event = new CustomEvent("pictures:given", { cancelable: true, detail: { files, how } });
  if (!opener || !files.length || !document.dispatchEvent(event)) return;
  try {
    await openPanel();
  } catch (error) {
    notify(error.message, { failed: true });
    return;
  }
  const folder = panel.querySelector("#upload-folder");
  if (!folder) return;
  for (const file of files) enqueue(new Upload(file, folder.value));
}

opener?.addEventListener("click", (event) => {
  event.preventDefault();
  openPanel().then(() => panel.querySelector("[data-choose]")?.focus(), (error) => notify(error.message, { failed: true }));
});

const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

document.addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (!hasFiles(event)) return;
  event.preventDefault();
  add([...event.dataTransfer.files], "dropped");
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  event.preventDefault();
  add(files, "pasted");
});
window.addEventListener("beforeunload", (event) => {
  if (numActive) event.preventDefault();
});
