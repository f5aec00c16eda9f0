// Keeps parts of the page up to date: the server sends them again over a WebSocket when they change.

const { events, topics } = document.body.dataset;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
let pause = FIRST_PAUSE_MS;
let socket = null;
const AFTER_PRESS_MS = 50; // a finger's click comes after it is lifted
const held = new Map();
let isPressed = false;
let releasing = null;

function keepOpen(old, fresh) {
  for (const details of old.querySelectorAll("details[open][id]")) {
    const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
    if (same) same.open = true;
  }
}

function replace({ target, content }) {
  const old = document.querySelector(target);
  if (!old) return;
  const template = document.createElement("template");
  template.innerHTML = content;
  const fresh = template.content.firstElementChild;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  keepOpen(old, fresh);
  old.replaceWith(fresh);
  if (focused) document.getElementById(focused)?.focus();
  document.dispatchEvent(new CustomEvent("live:replaced", { detail: { target } }));
}

/** A button that is replaced while it is pressed gets no click. */
function receive(message) {
  if (isPressed) held.set(message.target, message);
  else replace(message);
}

function release() {
  isPressed = false;
  const messages = [...held.values()];
  held.clear();
  messages.forEach(replace);
}

function releaseSoon() {
  clearTimeout(releasing);
  releasing = setTimeout(release, AFTER_PRESS_MS);
}

document.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  clearTimeout(releasing);
  isPressed = true;
});
for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, releaseSoon);
window.addEventListener("blur", releaseSoon);

function connect() {
  socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${events}?topics=${topics}`);
  socket.addEventListener("open", () => (pause = FIRST_PAUSE_MS));
  socket.addEventListener("message", (event) => receive(JSON.parse(event.data)));
  socket.addEventListener("close", () => {
    if (!socket) return;
    setTimeout(connect, pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  });
}

// A page with an open connection cannot be kept for the back button.
window.addEventListener("pagehide", () => {
  const open = socket;
  socket = null;
  open?.close();
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) connect();
});
connect();
