// Pictures from a phone's share menu: the service worker has them; they are sent when the person says so.
import { appAddress, notify, send } from "./app.js";

const page = document.getElementById("shared");
const list = document.getElementById("shared-files");
const add = document.getElementById("add-shared");

function fromWorker() {
  return new Promise((resolve) => {
    const worker = navigator.serviceWorker?.controller;
    if (!worker) return resolve([]);
    const channel = new MessageChannel();
    channel.port1.onmessage = (event) => resolve(event.data);
    worker.postMessage("shared", [channel.port2]);
  });
}

const files = await fromWorker();
if (files.length) {
  document.getElementById("nothing-shared").hidden = true;
  for (const file of files) {
    const item = document.createElement("li");
    item.textContent = file.name;
    list.append(item);
  }
  add.textContent = files.length === 1 ? page.dataset.one : page.dataset.many;
  add.hidden = false;
}

add.addEventListener("click", async () => {
  add.disabled = true;
  let address = appAddress;
  try {
    while (files.length) {
      const form = new FormData();
      form.append("files", files[0]);
      const answer = await send(`${appAddress}uploads/share`, form);
      if (answer.redirected) address = answer.url;
      files.shift();
      list.firstElementChild.remove();
    }
    location.assign(address);
  } catch (error) {
    add.disabled = false;
    notify(error.message, { failed: true });
  }
});
