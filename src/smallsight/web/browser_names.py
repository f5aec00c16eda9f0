"""Names a browser for people, by what it says it is: "Firefox, Windows"."""

from __future__ import annotations

# In this order: most say that they are some of the others too.
_BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
    "curl": "curl",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Macintosh": "macOS",
    "Linux": "Linux",
}


def browser_name(user_agent: str) -> str:
    """Return a short name; "" for a browser that is not known. Never text from the header itself."""
    told = user_agent[:1000]
    found = [
        next((name for mark, name in names.items() if mark in told), None) for names in (_BROWSERS, _SYSTEMS)
    ]
    return ", ".join(name for name in found if name)
