"""The tree drawn in errors.py is what people read; the classes are what programs meet."""

import re
from collections import Counter
from dataclasses import dataclass

import pytest

from smallsight import errors

_LINE = re.compile(
    r"^(?P<indent>[│ ]*)(?:[├└]── )?(?P<name>\w+Error)\s+(?:exit )?(?P<exit>\d+)\s+(?:HTTP )?(?P<http>\d{3})"
    r"(?P<rest>.*)$"
)
_ALSO = re.compile(r"also a (\w+Error)")
CLASSES = [getattr(errors, name) for name in errors.__all__]


@dataclass(frozen=True)
class Drawn:
    name: str
    exit_code: int
    http_status: int
    parent: str | None
    also: str | None


def drawn_tree(docstring):
    drawn, above = [], []
    for line in docstring.splitlines():
        if (match := _LINE.match(line.removeprefix("    "))) is None:
            continue
        depth = 0 if "──" not in line else 1 + len(match["indent"]) // 4
        del above[depth:]
        also = _ALSO.search(match["rest"])
        parent = above[-1] if above else None
        drawn.append(
            Drawn(match["name"], int(match["exit"]), int(match["http"]), parent, also[1] if also else None)
        )
        above.append(match["name"])
    return drawn


DRAWN = drawn_tree(errors.__doc__)


def test_every_class_is_drawn_once_and_nothing_else_is():
    assert sorted(one.name for one in DRAWN) == sorted(errors.__all__)


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda drawn: drawn.name)
def test_a_class_is_what_its_line_says(drawn):
    error = getattr(errors, drawn.name)
    assert (error.exit_code, error.http_status) == (drawn.exit_code, drawn.http_status)
    bases = {base.__name__ for base in error.__mro__[1:]}
    if drawn.parent is None:
        assert error is errors.SmallsightError
    else:
        assert drawn.parent in bases
    if drawn.also is not None:
        assert drawn.also in bases
    elif drawn.parent is not None:
        assert [base.__name__ for base in error.__bases__] == [drawn.parent]


def test_codes_are_unique_and_made_for_machines():
    counts = Counter(error.code for error in CLASSES)
    assert [code for code, count in counts.items() if count > 1] == []
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", code) for code in counts)


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_exit_codes_and_statuses_are_known_ones(error):
    assert error.exit_code in {1, 2, 3, 4, 5, 6, 7}
    assert 400 <= error.http_status < 600


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_an_error_has_a_message_and_a_hint(error):
    raised = error("Something failed.", hint="mend it.")
    assert (raised.message, raised.hint) == ("Something failed.", "mend it.")
    assert str(raised) == "Something failed. hint: mend it."
    assert str(error("Something failed.")) == "Something failed."


def test_a_wrong_tree_would_be_noticed():
    tree = "    SmallsightError   exit 1   HTTP 500\n    ├── AError   exit 2   400   x; also a BError\n"
    tree += "    │   └── CError    exit 3   404   y\n"
    assert drawn_tree(tree) == [
        Drawn("SmallsightError", 1, 500, None, None),
        Drawn("AError", 2, 400, "SmallsightError", "BError"),
        Drawn("CError", 3, 404, "AError", None),
    ]
