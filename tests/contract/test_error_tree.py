"""The tree drawn in smallsight.errors is what people read; the classes are what programs meet."""

import re
from collections import Counter
from dataclasses import dataclass

import pytest

from contract.checkout import assert_none
from error_classes import ERROR_CLASSES
from smallsight import errors

_LINE = re.compile(
    r"^(?P<indent>[│ ]*)(?:[├└]── )?(?P<name>\w+Error)\s+(?:exit )?(?P<exit>\d+)\s+(?:HTTP )?(?P<http>\d{3})"
    r"(?P<rest>.*)$"
)
_ALSO = re.compile(r"also a (\w+Error)")
CLASSES = ERROR_CLASSES


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
    assert sorted(one.name for one in DRAWN) == sorted(one.__name__ for one in ERROR_CLASSES)


def differences(drawn):
    """Yield how a class differs from its line of the drawing."""
    error = getattr(errors, drawn.name)
    if (error.exit_code, error.http_status) != (drawn.exit_code, drawn.http_status):
        yield f"{drawn.name}: it has exit code {error.exit_code} and status {error.http_status}"
    bases = [base.__name__ for base in error.__bases__]
    every_base = {base.__name__ for base in error.__mro__[1:]}
    if drawn.parent is None:
        if error is not errors.SmallsightError:
            yield f"{drawn.name}: drawn as a root"
    elif not {drawn.parent, drawn.also or drawn.parent} <= every_base or (
        drawn.also is None and bases != [drawn.parent]
    ):
        yield f"{drawn.name}: its bases are {bases}"


def test_every_class_is_what_its_line_says():
    assert_none("smallsight.errors draws its classes", (one for drawn in DRAWN for one in differences(drawn)))


def test_codes_are_unique_and_made_for_machines():
    counts = Counter(error.code for error in CLASSES)
    assert [code for code, count in counts.items() if count > 1] == []
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", code) for code in counts)


def test_exit_codes_and_statuses_are_known_ones():
    known = {
        error.__name__: error.exit_code in range(1, 9) and 400 <= error.http_status < 600 for error in CLASSES
    }
    assert_none(
        "exit codes are 1 to 8, statuses 400 to 599",
        [name for name, is_known in known.items() if not is_known],
    )


def shown(error):
    """Return what an error's class makes of a message and a hint, in the three ways it is read."""
    raised = error("Something failed.", hint="fix it.")
    return raised.message, raised.hint, str(raised), str(error("Something failed."))


def test_an_error_has_a_message_and_a_hint():
    expected = ("Something failed.", "fix it.", "Something failed. hint: fix it.", "Something failed.")
    found = [f"{error.__name__}: {shown(error)}" for error in CLASSES if shown(error) != expected]
    assert_none("an error shows its message and its hint", found)


@pytest.mark.parametrize(
    "wrong",
    [
        Drawn("SmallsightError", 9, 500, None, None),
        Drawn("SettingsError", 2, 400, None, None),
        Drawn("SettingsError", 2, 400, "PictureError", None),
    ],
)
def test_a_difference_would_be_noticed(wrong):
    assert list(differences(wrong)) != []


def test_a_wrong_tree_would_be_noticed():
    tree = "    SmallsightError   exit 1   HTTP 500\n    ├── AError   exit 2   400   x; also a BError\n"
    tree += "    │   └── CError    exit 3   404   y\n"
    assert drawn_tree(tree) == [
        Drawn("SmallsightError", 1, 500, None, None),
        Drawn("AError", 2, 400, "SmallsightError", "BError"),
        Drawn("CError", 3, 404, "AError", None),
    ]
