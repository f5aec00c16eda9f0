// The page of one picture: questions with streamed answers, copying the picture, moving with the arrow keys.
import { ask } from "./answer_stream.js";
import { notify } from "./app.js";

const shown = document.querySelector(".shown");
const large = document.getElementById("large");
const markLoaded = () => shown.classList.add("is-loaded");
if (large.tagName === "VIDEO" || (large.complete && large.naturalWidth)) markLoaded();
else large.addEventListener("load", markLoaded);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, video")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const goTo = (selector) => document.querySelector(selector)?.click();
  if (event.key === "ArrowLeft") goTo(".step.previous");
  else if (event.key === "ArrowRight") goTo(".step.following");
  else if (event.key === "Escape") goTo(".facts header a");
  else if (event.key === "e") document.querySelector("[aria-labelledby=about-description] details").open = true;
  else if (event.key === "a") {
    event.preventDefault();
    document.getElementById("question").focus();
  }
});

const copy = document.querySelector("[data-copy-picture]");
if (copy && window.ClipboardItem && navigator.clipboard?.write) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": asPng() })]);
      notify(copy.textContent.trim() + " ✓");
    } catch (error) {
      notify(error.message, { failed: true });
    }
  });
}

/** Browsers put only PNG on the clipboard. */
async function asPng() {
  await large.decode();
  const canvas = new OffscreenCanvas(large.naturalWidth, large.naturalHeight);
  canvas.getContext("2d").drawImage(large, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

const form = document.querySelector("form.ask");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const question = form.elements.question.value.trim();
  if (!question) return;
  const box = document.createElement("div");
  const asked = document.createElement("p");
  asked.className = "asked";
  asked.textContent = question;
  const answer = document.createElement("p");
  box.append(asked, answer);
  form.querySelector(".answers").prepend(box);
  form.elements.question.value = "";
  try {
    for await (const event of ask(form.action, new URLSearchParams({ question }))) {
      if (event.text) answer.textContent += event.text;
    }
  } catch (error) {
    answer.className = "bad";
    answer.textContent = error.message;
  }
});

/** While a model describes the picture, its part of the page is asked for until it is there. */
async function followDescription() {
  const address = new URL(location.href);
  address.pathname += "/description";
  while (document.querySelector("#description-part[data-regenerating]")) {
    await new Promise((done) => setTimeout(done, 1200));
    const answer = await fetch(address).catch(() => null);
    if (!answer?.ok) continue;
    const part = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("description-part");
    if (part) document.getElementById("description-part").replaceWith(part);
  }
}
followDescription();
