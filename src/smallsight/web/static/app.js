// What every page does: messages, keyboard shortcuts, and questions before something is removed.

const notices = document.getElementById("notices");

/** The address of the app, with a slash at its end. */
export const appAddress = new URL(".", document.querySelector("link[rel=manifest]")?.href ?? `${location.origin}/app/`).pathname;

if (window.isSecureContext) navigator.serviceWorker?.register(`${appAddress}worker.js`, { updateViaCache: "none" });

export const formToken = document.querySelector('meta[name="form-token"]')?.content ?? "";

/** Shows a message for a while; a failure stays until it is clicked. */
export function notify(text, { failed = false } = {}) {
  const box = document.createElement("p");
  box.className = failed ? "notice failed" : "notice";
  box.textContent = text;
  box.addEventListener("click", () => box.remove());
  notices.append(box);
  if (!failed) setTimeout(() => box.remove(), 5000);
  return box;
}

/** Sends a change to the server; throws an Error with the server's message if it refuses. */
export async function send(address, body, options = {}) {
  const answer = await fetch(address, {
    method: "POST",
    body,
    ...options,
    headers: { "X-Form-Token": formToken, ...options.headers },
  });
  if (answer.status === 401) askToLogIn();
  if (!answer.ok) throw new Error(answer.headers.get("x-problem") ?? `${answer.status} ${answer.statusText}`);
  return answer;
}

function askToLogIn() {
  const next = encodeURIComponent(location.pathname + location.search);
  location.assign(`${appAddress}login?next=${next}`);
}

// Of what a page asks for by itself, such as a search that is typed, one failure is shown until something succeeds.
let failure = null;
const tellFailure = (text) => {
  failure?.remove();
  failure = notify(text, { failed: true });
};

document.addEventListener("htmx:response:error", (event) => {
  const response = event.detail?.ctx?.response;
  if (response?.status === 401) askToLogIn();
  else tellFailure(response?.headers.get("x-problem") ?? `${response?.status}`);
});
document.addEventListener("htmx:error", (event) => {
  const request = event.detail?.ctx;
  if (request && !request.response) tellFailure(notices.dataset.unreachable);
});
document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail?.ctx?.response?.status < 400) failure?.remove(); // it is sent after refusals, too
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

const isTyping = (element) => element.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const search = document.getElementById("q");
  if (event.key === "/" && search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

document.addEventListener("click", (event) => {
  for (const details of document.querySelectorAll("details.filters[open]")) {
    if (!details.contains(event.target)) details.open = false;
  }
});

for (const notice of notices.children) setTimeout(() => notice.remove(), 6000);
