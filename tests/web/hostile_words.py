"""200 texts that would become markup, script or an address if a page took them for more than text.

Each would set ``window.xss`` or add an element called ``injected``: a context that it tries to leave, times
what it puts there, times how it is written.
"""

from __future__ import annotations

import html
import itertools
import re
import urllib.parse

MARK = "injected"
_RUN = "window.xss=true"

# How a text may leave the place where it stands.
LEAVING = {
    "text": "",
    "double quotes": '">',
    "single quotes": "'>",
    "no quotes": " x>",
    "title": "</title>",
    "text area": "</textarea>",
    "script": "</script>",
    "script string": "';",
    "style": "</style>",
    "comment": "--><!-- -->",
    "attribute": f'" onfocus="{_RUN}" autofocus id="{MARK}" x="',
    "template": "{{ 7*7 }}{% if 1 %}",
    "svg text": "</text></svg>",
    "json": '"}</script>',
}
# What it puts there.
PUTS = {
    "script": f'<script id="{MARK}">{_RUN}</script>',
    "image": f'<img id="{MARK}" src=x onerror="{_RUN}">',
    "svg": f'<svg id="{MARK}" onload="{_RUN}"><animate onbegin="{_RUN}" attributeName="x" dur="1s"/></svg>',
    "link": f'<a id="{MARK}" href="javascript:{_RUN}" hx-get="/app/">x</a>',
    "details": f'<details id="{MARK}" open ontoggle="{_RUN}">x</details>',
    "frame": f'<iframe id="{MARK}" srcdoc="&lt;script&gt;parent.xss=true&lt;/script&gt;"></iframe>',
    "htmx": f'<div id="{MARK}" hx-on:load="{_RUN}" hx-get="javascript:{_RUN}" hx-trigger="load"></div>',
    "form": f'<form id="{MARK}" action="javascript:{_RUN}"><input autofocus onfocus="{_RUN}"></form>',
    "base": f'<base id="{MARK}" href="//evil.example/"><meta http-equiv="refresh" content="0;url=data:,x">',
    "math": f'<math id="{MARK}"><mtext></mtext><style><img src=x onerror="{_RUN}"></style></math>',
}


def _mixed_case(text: str) -> str:
    """Return it with the names of tags and handlers in mixed case, which HTML takes as the same names."""
    return re.sub(r"</?\w+|\bon\w+(?==)", lambda found: found[0].title(), text)


def _broken_up(text: str) -> str:
    return text.replace("<", "<\u200b", 1).replace("=", "\t=\n") + text


# How it is written: as it is, or so that something that decodes it once more would find it.
WRITTEN = {
    "plain": lambda text: text,
    "entities": html.escape,
    "decimal entities": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "percent": urllib.parse.quote,
    "mixed case": _mixed_case,
    "broken up": _broken_up,
    "full width": lambda text: text.replace("<", "\uff1c").replace(">", "\uff1e") + text,
    "escapes": lambda text: text.replace("<", "\\u003c").replace(">", "\\x3e"),
}


def texts() -> list[str]:
    """Return 200 of all combinations: every context, every content and every way of writing among them."""
    every = list(itertools.product(LEAVING.values(), PUTS.values(), WRITTEN.values()))
    found = [f"{leaving}{written(put)}" for leaving, put, written in every]
    step = 37  # coprime to the number of each, so that none is left out
    return [found[number * step % len(found)] for number in range(200)]
