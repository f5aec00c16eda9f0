"""What an exploration prints: every scheme by size, the front marked, and the best for each budget."""

from __future__ import annotations

from pathlib import Path

import pytest

import handmade_validation as handmade
from smallsight.cli.exploring import exploration_as_json, print_exploration
from smallsight.cli.output import Output
from smallsight.services.exploring import Explored
from smallsight.validation.pareto import best_within, candidates_of, pareto_front

OUTPUT = Output(json=False, quiet=False)


@pytest.fixture
def found():
    exploration = handmade.exploration()
    results = {one.name: handmade.result() for one in exploration.schemes}
    best = best_within(candidates_of(exploration), 2**60)
    best_scheme = next(one for one in exploration.schemes if one.name == best.name)
    return Explored("SmolVLM-256M-Instruct", exploration, results, best_scheme, None)


def test_schemes_are_printed_by_size_and_those_on_the_front_are_marked(found, capsys):
    print_exploration(OUTPUT, found)
    lines = capsys.readouterr().out.splitlines()
    names = [one.name for one in sorted(found.exploration.schemes, key=lambda one: -one.weights_bytes)]
    table = lines[2 : 2 + len(names)]
    assert [line[2:].split()[0] for line in table] == names
    front = {one.name for one in pareto_front(candidates_of(found.exploration))}
    assert {line[2:].split()[0] for line in table if line.startswith("*")} == front
    assert "do not ship" in next(line for line in table if line[2:].startswith("fp4"))


def test_the_best_of_each_budget_is_named_and_how_to_save_it(found, capsys):
    print_exploration(OUTPUT, found)
    out, err = capsys.readouterr()
    assert "best up to 25.0 % of the base  none that may ship" in out
    assert "best of any size               int8" in out
    assert "smallsight models add-variant NAME --base SmolVLM-256M-Instruct --scheme" in err


def test_the_json_names_front_and_best(found):
    shown = exploration_as_json(found, Path("report.html"))
    assert (shown["best"], shown["budget_bytes"], shown["report"]) == ("int8", None, "report.html")
    assert shown["front"][-1] == "int8"
    assert {one["name"] for one in shown["schemes"]} == set(found.results)
