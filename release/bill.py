"""Adds to a bill of materials what its generator does not know: licences, models, files for the browser."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from packaging.utils import canonicalize_name

from release.licence_rules import Rules, licence_of
from release.licences import SHIPPED, VENDORED, licence_of_card
from release.pins import ROOT, read_pins

TEXT_MODEL = "requirements/text-model.txt"


def complete(bill: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """Return a bill of CycloneDX with licences, and with the components that are not packages."""
    components = [_with_licence(one, rules) for one in bill["components"]]
    return {**bill, "components": [*components, *_models(rules), *_vendored()]}


def _with_licence(component: dict[str, Any], rules: Rules) -> dict[str, Any]:
    name = canonicalize_name(component["name"])
    licence = rules.packages.get(name) or licence_of(name)
    return component if licence is None else {**component, "licenses": [{"expression": licence}]}


def _models(rules: Rules) -> list[dict[str, Any]]:
    """Return the models that people get without asking: those in the package, and the text model."""
    found = []
    for card in sorted(SHIPPED.glob("*/README.md")):
        weights = card.with_name("model.safetensors").read_bytes()
        found.append(
            {
                "type": "machine-learning-model",
                "bom-ref": f"model:{card.parent.name}",
                "name": card.parent.name,
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(weights).hexdigest()}],
                "licenses": [{"expression": licence_of_card(card)}],
            }
        )
    for pin in read_pins(ROOT / TEXT_MODEL):
        one = {"name": pin.name, "version": str(pin.version), "purl": f"pkg:pypi/{pin.name}@{pin.version}"}
        found.append(
            _with_licence({"type": "machine-learning-model", "bom-ref": f"model:{pin.name}", **one}, rules)
        )
    return found


def _vendored() -> list[dict[str, Any]]:
    """Return what is vendored for the browser and delivered."""
    pieces = json.loads(VENDORED.read_text(encoding="utf-8"))["pieces"]
    return [
        {
            "type": "library",
            "bom-ref": f"vendored:{one['name']}",
            "name": one["name"],
            "version": one["version"],
            "purl": f"pkg:npm/{one['name']}@{one['version']}",
            "licenses": [{"expression": one["licence"]}],
        }
        for one in pieces
        if one["folder"].startswith("src/")
    ]
