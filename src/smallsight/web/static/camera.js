// The live page: frames of a camera, a video or a picture go to the model one after another, answers come back.
import { ask } from "./answer_stream.js";

const MAX_SIDE_PX = 1024;
const MAX_ANSWERS = 50;

const root = document.querySelector(".live");
const video = root.querySelector("video");
const picture = root.querySelector(".view img");
const canvas = root.querySelector("canvas");
const empty = root.querySelector(".empty");
const form = root.querySelector("form.controls");
const answers = root.querySelector(".answers");
const cameras = root.querySelector(".cameras");
const buttons = {
  camera: root.querySelector("[data-camera]"),
  start: root.querySelector("[data-start]"),
  stop: root.querySelector("[data-stop]"),
  close: root.querySelector("[data-close]"),
};
const counts = { frames: 0, tokens: 0 };
let stream = null; // of the camera
let asking = null; // the AbortController of the answers in progress

root.querySelector("[data-port]").textContent = location.port || "80";

function explain(why) {
  root.querySelector(".no-camera").hidden = why === null;
  for (const part of root.querySelectorAll("[data-why]")) part.hidden = part.dataset.why !== why;
}

function showSource(shown) {
  video.hidden = shown !== video;
  picture.hidden = shown !== picture;
  empty.hidden = shown !== null;
  buttons.close.hidden = shown === null;
  buttons.start.disabled = shown === null;
}

/** Stops asking and lets go of the camera, the video or the picture. */
function close() {
  stop();
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  video.srcObject = null;
  for (const shown of [video, picture]) {
    if (shown.src.startsWith("blob:")) URL.revokeObjectURL(shown.src);
    shown.removeAttribute("src");
  }
  cameras.hidden = true;
  showSource(null);
}

async function openCamera(deviceId) {
  close();
  explain(null);
  const wanted = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "environment" };
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  } catch (error) {
    const reasons = { NotAllowedError: "denied", NotFoundError: "none", OverconstrainedError: "none" };
    explain(reasons[error.name] ?? "busy");
    return;
  }
  video.srcObject = stream;
  await video.play();
  showSource(video);
  await listCameras();
}

async function listCameras() {
  const found = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
  const current = stream?.getVideoTracks()[0]?.getSettings().deviceId;
  form.elements.camera.replaceChildren(
    ...found.map((one, number) => new Option(one.label || `${number + 1}`, one.deviceId, false, one.deviceId === current)),
  );
  cameras.hidden = found.length < 2;
}

async function openFile(file) {
  if (!file) return;
  close();
  explain(null);
  const address = URL.createObjectURL(file);
  if (file.type.startsWith("video/")) {
    video.src = address;
    video.loop = true;
    await video.play();
    showSource(video);
  } else {
    picture.src = address;
    await picture.decode();
    showSource(picture);
  }
}

/** Returns the present frame as a JPEG, at most MAX_SIDE_PX wide and high. */
function frame() {
  const shown = video.hidden ? picture : video;
  const width = shown.videoWidth || shown.naturalWidth;
  const height = shown.videoHeight || shown.naturalHeight;
  const scale = Math.min(1, MAX_SIDE_PX / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d").drawImage(shown, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
}

function show(name, value) {
  root.querySelector(`[data-count=${name}]`).textContent = value;
}

async function answerOnce(signal) {
  const body = new FormData();
  body.append("picture", await frame(), "frame.jpg");
  if (signal.aborted) return;
  body.append("model", form.elements.model.value);
  body.append("question", form.elements.question.value);
  show("frames", ++counts.frames);
  const item = document.createElement("li");
  answers.prepend(item);
  while (answers.children.length > MAX_ANSWERS) answers.lastElementChild.remove();
  try {
    for await (const piece of ask(root.dataset.ask, body, signal)) {
      if (piece.text) item.textContent += piece.text;
      else {
        counts.tokens += piece.tokens;
        show("tokens", counts.tokens);
        show("seconds", `${piece.seconds} s`);
        if (piece.seconds > 0) show("rate", (piece.tokens / piece.seconds).toFixed(1));
      }
    }
  } catch (error) {
    if (signal.aborted) {
      item.classList.add("soft");
      if (!item.textContent) item.remove();
      return;
    }
    item.className = "bad";
    item.textContent = error.message;
    throw error;
  }
}

const pause = (seconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

async function start() {
  if (asking) return;
  const own = (asking = new AbortController());
  buttons.start.disabled = true;
  buttons.stop.disabled = false;
  try {
    while (!own.signal.aborted) {
      const began = performance.now();
      await answerOnce(own.signal);
      const interval = form.elements.interval.value;
      if (interval === "once") break;
      await pause(Math.max(0, interval - (performance.now() - began) / 1000), own.signal);
    }
  } catch {
    // the answer's place says why
  } finally {
    if (asking === own) stop();
  }
}

function stop() {
  asking?.abort();
  asking = null;
  buttons.stop.disabled = true;
  buttons.start.disabled = video.hidden && picture.hidden;
}

/** Stops, and turns the camera off; a picture or a video stays. */
function stopAll() {
  if (stream) close();
  else stop();
}

if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
  buttons.camera.disabled = true;
  explain("insecure");
}
const warnElsewhere = () => {
  const isElsewhere = "elsewhere" in (form.elements.model.selectedOptions[0]?.dataset ?? {});
  root.querySelector(".elsewhere").hidden = !isElsewhere;
};
form.elements.model.addEventListener("change", warnElsewhere);
warnElsewhere();
form.addEventListener("submit", (event) => event.preventDefault());
form.elements.camera.addEventListener("change", () => openCamera(form.elements.camera.value));
buttons.camera.addEventListener("click", () => openCamera());
buttons.start.addEventListener("click", start);
buttons.stop.addEventListener("click", stopAll);
buttons.close.addEventListener("click", close);
root.querySelector("[data-file]").addEventListener("change", (event) => openFile(event.target.files[0]));
const fail = () => explain("busy");
for (const name of ["dragover", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    if (name === "drop") openFile([...event.dataTransfer.files].find((one) => /^(image|video)\//.test(one.type))).catch(fail);
  });
}
document.addEventListener("paste", (event) => openFile(event.clipboardData?.files[0]));
window.addEventListener("pagehide", close);
