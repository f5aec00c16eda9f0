// New pictures: an untouched gallery shows them by itself, one that is in use offers to. A search without a
// result looks again whenever more is known about pictures, such as the text that was just read in one.

const PAUSE_MS = 2000;
const NEAR_TOP_PX = 150;
let { version: shown, known } = document.getElementById("fresh").dataset;
let last = 0;
let timer = null;

const results = () => document.getElementById("results");

function isUntouched() {
  const isPicking = document.querySelector("#tiles .pick input:checked");
  const isOpen = document.querySelector(".results details[open], dialog[open]");
  return window.scrollY < NEAR_TOP_PX && !isPicking && !isOpen && !document.hidden;
}

/** Asks for the same results again. Its button shares the queue of the search: what is typed comes first. */
async function show() {
  const { version: wanted, known: wantedKnown } = document.getElementById("fresh").dataset;
  const before = results();
  const button = document.querySelector("#fresh button");
  last = Date.now();
  button.hidden = true;
  const search = document.getElementById("search");
  const address = new URL(before.dataset.address, location.href);
  const from = `${search.getAttribute("hx-get")}${address.search}`;
  await globalThis.htmx.ajax("GET", from, { source: button, target: "#results", swap: "outerHTML" });
  if (results() !== before) [shown, known] = [wanted, wantedKnown];
  else checkLater();
}

function checkLater() {
  clearTimeout(timer);
  timer = setTimeout(check, PAUSE_MS);
}

function check() {
  clearTimeout(timer);
  const fresh = document.getElementById("fresh");
  const isEmpty = results().querySelector(".nothing") !== null;
  if (fresh.dataset.version === shown && !(isEmpty && fresh.dataset.known !== known)) return;
  if (!isUntouched()) {
    fresh.querySelector("button").hidden = false;
  } else if (Date.now() - last < PAUSE_MS) {
    checkLater();
  } else {
    show();
  }
}

document.addEventListener("live:replaced", (event) => event.detail.target === "#fresh" && check());
document.addEventListener("visibilitychange", () => document.hidden || check());
document.addEventListener("click", (event) => {
  if (!event.target.closest("#fresh button")) return;
  window.scrollTo({ top: 0 });
  show();
});
