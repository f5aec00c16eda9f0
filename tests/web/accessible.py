"""Checks a page with axe-core, and what axe cannot see: width, focus that shows, and the order of the keyboard."""

# ruff: noqa: E501 - scripts of pages are in here
from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

_AXE = Path(__file__).parent / "vendor" / "axe-core-4.14.1" / "axe.min.js"
_GRAVE = ("serious", "critical")
_RUN = """async () => (await axe.run(document, {
  runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
  resultTypes: ["violations"],
})).violations.map(({id, impact, nodes}) => ({id, impact, where: nodes.slice(0, 3).map((one) => one.html.slice(0, 160))}))"""
_FOCUSED = """() => {
  const one = document.activeElement;
  const box = one.getBoundingClientRect();
  const style = getComputedStyle(one);
  const isPicked = one.matches(".pick input");
  return {
    name: (one.getAttribute("aria-label") || one.innerText || one.value || one.name || one.localName).trim().slice(0, 40),
    tag: one.localName,
    isBody: one === document.body,
    shows: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    isInView: isPicked || (box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth),
  };
}"""


@cache
def _axe() -> str:
    return _AXE.read_text(encoding="utf-8")


def violations(page: Any) -> list[dict[str, Any]]:
    """Return what axe-core finds in the page as it is now; the policy of the pages does not stop it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
    found: list[dict[str, Any]] = page.evaluate(_RUN)
    return found


def assert_accessible(page: Any) -> None:
    """Fail for serious and critical violations, and for a page that is wider than its window."""
    page.wait_for_load_state()
    page.evaluate("scrollTo(0, 0)")  # what lies under the bar at the top counts as too small to hit
    grave = [one for one in violations(page) if one["impact"] in _GRAVE]
    assert not grave, f"{page.url}: {grave}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{page.url} scrolls sideways"


def walk(page: Any, num_steps: int) -> list[str]:
    """Press Tab and return the names of what gets the focus; each has to be in view and to show it."""
    names = []
    for _ in range(num_steps):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused["isBody"]:
            break
        assert focused["shows"], f"the focus does not show: {focused}"
        assert focused["isInView"], f"the focus is out of view: {focused}"
        names.append(focused["name"])
    return names
