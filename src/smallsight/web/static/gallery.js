// The gallery: selecting tiles with mouse and keyboard, and moving through them.
import { add } from "./uploads.js";

const results = () => document.getElementById("results");
const tiles = () => [...document.querySelectorAll("#tiles > .tile")];
const boxOf = (tile) => tile.querySelector(".pick input");

let lastPicked = null;

function refresh() {
  const form = document.getElementById("bulk");
  if (!form) return;
  const picked = tiles().filter((tile) => boxOf(tile).checked);
  form.hidden = picked.length === 0;
  form.querySelector(".bulk-count").textContent = picked.length || "";
  document.getElementById("tiles").classList.toggle("selecting", picked.length > 0);
}

function pickRange(tile, isPicked) {
  const all = tiles();
  const [from, to] = [all.indexOf(lastPicked), all.indexOf(tile)].sort((a, b) => a - b);
  if (from < 0) return;
  for (const one of all.slice(from, to + 1)) boxOf(one).checked = isPicked;
}

document.addEventListener("click", (event) => {
  const tile = event.target.closest("#tiles > .tile");
  if (event.target.closest("[data-clear-selection]")) {
    for (const one of tiles()) boxOf(one).checked = false;
    refresh();
    return;
  }
  if (!tile) return;
  const isBox = event.target.matches(".pick input");
  const isOpening = event.target.closest(".open");
  const isSelecting = document.getElementById("tiles").classList.contains("selecting");
  if (isOpening && (event.shiftKey || (isSelecting && event.ctrlKey))) {
    event.preventDefault();
    boxOf(tile).checked = true;
    if (event.shiftKey) pickRange(tile, true);
  } else if (isBox && event.shiftKey) {
    pickRange(tile, event.target.checked);
  } else if (!isBox) {
    return;
  }
  lastPicked = tile;
  refresh();
});

function columnsOf(all) {
  const top = all[0].offsetTop;
  const second = all.findIndex((tile) => tile.offsetTop > top);
  return second < 0 ? all.length : second;
}

function moveTo(tile) {
  if (!tile) return;
  document.querySelector(".tile.is-current")?.classList.remove("is-current");
  tile.classList.add("is-current");
  tile.querySelector(".open").focus({ preventScroll: true });
  tile.scrollIntoView({ block: "nearest" });
}

function below(current, all, direction) {
  const place = current.getBoundingClientRect();
  const middle = place.left + place.width / 2;
  const others = all.filter((tile) => (tile.getBoundingClientRect().top - place.top) * direction > 1);
  const distance = (tile) => {
    const one = tile.getBoundingClientRect();
    return Math.abs(one.top - place.top) * 4 + Math.abs(one.left + one.width / 2 - middle);
  };
  return others.sort((a, b) => distance(a) - distance(b))[0];
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input:not([type=checkbox]), textarea, select")) {
    if (event.key === "ArrowDown" && event.target.id === "q") moveTo(tiles()[0]);
    return;
  }
  const all = tiles();
  if (!all.length || event.altKey) return;
  const current = document.activeElement.closest?.("#tiles > .tile");
  const place = all.indexOf(current);
  if ((event.ctrlKey || event.metaKey) && event.key === "a") {
    for (const one of all) boxOf(one).checked = true;
    refresh();
  } else if (event.ctrlKey || event.metaKey) {
    return;
  } else if (event.key === "Escape") {
    for (const one of all) boxOf(one).checked = false;
    refresh();
  } else if (event.key === "ArrowRight") {
    moveTo(all[place + 1] ?? all[0]);
  } else if (event.key === "ArrowLeft") {
    moveTo(all[Math.max(0, place - 1)]);
  } else if (event.key === "ArrowDown") {
    moveTo(current ? below(current, all, 1) : all[0]);
  } else if (event.key === "ArrowUp") {
    moveTo(current ? below(current, all, -1) : all[0]);
  } else if (event.key === " " || event.key === "x") {
    if (!current) return;
    boxOf(current).checked = !boxOf(current).checked;
    if (event.shiftKey) pickRange(current, boxOf(current).checked);
    lastPicked = current;
    refresh();
  } else {
    return;
  }
  event.preventDefault();
});

document.addEventListener("change", (event) => {
  if (event.target.matches(".pick input")) refresh();
  // Filters belong to the form of the search without being inside it.
  if (event.target.form?.id === "search" && event.target.id !== "q") event.target.form.requestSubmit();
});

const addressNow = () => location.pathname + location.search;
let shownAddress = addressNow();
let isFollowing = false;

/**
 * The address follows the search while it is typed, so that it can be shared and reloaded. Back leads to what was
 * shown before the first letter.
 */
function followSearch() {
  const address = results()?.dataset.address;
  if (!address || address === addressNow()) return;
  history[isFollowing ? "replaceState" : "pushState"](null, "", address);
  isFollowing = true;
  shownAddress = address;
}

window.addEventListener("popstate", () => {
  if (addressNow() !== shownAddress) location.replace(location.href); // and not for another part of this page
});

/** Panels that are open stay open when results are replaced; so do picked tiles by more of the same search. */
let openPanels = [];
let before = null;
const panels = () => [...document.querySelectorAll(".results details")];
const tileOf = (id) => tiles().find((tile) => tile.dataset.id === id);
document.addEventListener("htmx:before:swap", () => {
  openPanels = panels().map((one) => one.open);
  before = {
    address: results()?.dataset.address,
    section: results(),
    picked: tiles().filter((tile) => boxOf(tile).checked).map((tile) => tile.dataset.id),
    focused: document.activeElement.closest?.("#tiles > .tile")?.dataset.id,
  };
});

function pickAgain() {
  if (!before || results() === before.section || results()?.dataset.address !== before.address) return;
  for (const tile of before.picked.map(tileOf)) if (tile) boxOf(tile).checked = true;
  if (before.focused) moveTo(tileOf(before.focused));
}

document.addEventListener("htmx:after:swap", () => {
  panels().forEach((one, number) => (one.open = openPanels[number] ?? false));
  pickAgain();
  followSearch();
  refresh();
});
window.addEventListener("pageshow", refresh);
refresh();

const look = document.querySelector("form.look");
look?.elements.picture.addEventListener("change", () => look.requestSubmit());

// One picture that is dropped or pasted may be searched by, or added: the person says which.
const dialog = document.getElementById("incoming");
let incoming = null;

document.addEventListener("pictures:given", (event) => {
  const { files, how } = event.detail;
  if (how === "chosen" || files.length !== 1 || !look || !files[0].type.startsWith("image/")) return;
  event.preventDefault();
  incoming = files[0];
  const shown = dialog.querySelector("img");
  shown.src = URL.createObjectURL(incoming);
  shown.onload = () => URL.revokeObjectURL(shown.src);
  dialog.showModal();
});

dialog?.addEventListener("close", () => {
  if (dialog.returnValue === "look") {
    const files = new DataTransfer();
    files.items.add(incoming);
    look.elements.picture.files = files.files;
    look.requestSubmit();
  } else if (dialog.returnValue === "add") {
    add([incoming], "chosen");
  }
  dialog.returnValue = "";
});
