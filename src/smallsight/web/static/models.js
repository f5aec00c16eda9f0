// The page of models: trying one on a picture, which is chosen, dropped or pasted.
import { ask } from "./answer_stream.js";

const form = document.querySelector("form.trial");
const file = form.elements.picture;
const chosen = form.querySelector(".chosen");
const answer = form.querySelector(".answer");
const note = form.querySelector("[data-note]");
const stop = form.querySelector("[data-stop]");
const button = form.querySelector("button.main-action");

function showChosen() {
  const one = file.files[0];
  if (chosen.src) URL.revokeObjectURL(chosen.src);
  chosen.hidden = !one;
  if (!one) return;
  chosen.src = URL.createObjectURL(one);
  for (const radio of form.querySelectorAll("input[name=content_id]")) radio.checked = false;
}

function take(files) {
  const pictures = new DataTransfer();
  const picture = [...files].find((one) => one.type.startsWith("image/"));
  if (!picture) return;
  pictures.items.add(picture);
  file.files = pictures.files;
  showChosen();
}

file.addEventListener("change", showChosen);
form.addEventListener("change", (event) => {
  if (event.target.name !== "content_id") return;
  file.value = "";
  showChosen();
});
const section = document.getElementById("try");
section.addEventListener("dragover", (event) => event.preventDefault());
section.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => take(event.clipboardData?.files ?? []));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const stopping = new AbortController();
  stop.onclick = () => stopping.abort();
  answer.hidden = false;
  answer.className = "answer";
  answer.textContent = "";
  note.textContent = "…";
  stop.hidden = false;
  button.disabled = true;
  try {
    for await (const piece of ask(form.action, new FormData(form), stopping.signal)) {
      if (piece.text) answer.textContent += piece.text;
      else note.textContent = `${piece.model}, ${piece.seconds} s`;
    }
  } catch (error) {
    note.textContent = "";
    if (!stopping.signal.aborted) {
      answer.classList.add("bad");
      answer.textContent = error.message;
    }
  } finally {
    stop.hidden = true;
    button.disabled = false;
  }
});
