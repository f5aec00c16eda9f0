// Keeps parts of the page up to date: the server sends them again over a WebSocket when they change.

const { events, topics } = document.body.dataset;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
let pause = FIRST_PAUSE_MS;
let socket = null;

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

function connect() {
  socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${events}?topics=${topics}`);
  socket.addEventListener("open", () => (pause = FIRST_PAUSE_MS));
  socket.addEventListener("message", (event) => replace(JSON.parse(event.data)));
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
