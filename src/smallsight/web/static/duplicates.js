// Duplicates with the keyboard: groups with the arrows, members with digits.

const groups = [...document.querySelectorAll(".group")];
let current = -1;

function goTo(number) {
  current = Math.max(0, Math.min(number, groups.length - 1));
  groups[current]?.focus({ preventScroll: true });
  groups[current]?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("focusin", (event) => {
  const group = event.target.closest(".group");
  if (group) current = groups.indexOf(group);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const group = groups[current];
  const press = (action) => group.requestSubmit(group.querySelector(`button[value=${action}]`));
  if (event.key === "ArrowDown" || event.key === "j") goTo(current + 1);
  else if (event.key === "ArrowUp") goTo(current - 1);
  else if (group && event.key === "k") press("keep_all");
  else if (group && event.key === "Enter" && event.target === group) press("remove");
  else if (group && /^[1-9]$/.test(event.key)) {
    const box = group.querySelectorAll(".keep input")[Number(event.key) - 1];
    if (box) box.checked = !box.checked;
  } else return;
  event.preventDefault();
});
