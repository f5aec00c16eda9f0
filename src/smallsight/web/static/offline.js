// The offline page: looks every two seconds whether the server answers, then loads what was wanted.

const EVERY_MS = 2000;
const { probe } = document.body.dataset;

async function isBack() {
  try {
    return (await fetch(probe, { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

async function look() {
  if (await isBack()) location.reload();
  else setTimeout(look, EVERY_MS);
}

setTimeout(look, EVERY_MS);
document.addEventListener("visibilitychange", async () => {
  if (!document.hidden && (await isBack())) location.reload();
});
