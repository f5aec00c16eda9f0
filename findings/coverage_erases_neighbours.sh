#!/usr/bin/env bash
# coverage and pytest-cov: a run in parallel mode deletes every file whose name begins with that of its data file.
#
# Version: coverage 7.17.3, pytest-cov 7.1.0, pytest 9.2.0, Python 3.11.
# Behaviour: with parallel = true, the data of each process is a file like slow.HOST.PID.RANDOM, and what is left of an
#   earlier run is deleted first. The pattern is the data file's name, a dot and anything. With COVERAGE_FILE=slow
#   a file slow.log beside it goes too, though it is no data of coverage; if it is open, as the log of that very run,
#   the run continues and its output is lost. `coverage erase` does the same. `coverage combine` finds the
#   file by the same pattern, warns that it is no database and leaves it.
# Output seen:
#   pytest --cov: slow.log is gone, other.log is there
#   coverage erase: slow.log is gone, other.log is there
#   coverage combine: slow.log is there, other.log is there (1 lines name it)
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check coverage==7.17.3 pytest-cov==7.1.0 pytest==9.2.0
mkdir "$folder/run"
cd "$folder/run"
export COVERAGE_FILE="$folder/run/slow" PATH="$folder/venv/bin:$PATH"
printf '[run]\nparallel = true\nsource = .\n' > .coveragerc
printf 'def test_one():\n    assert True\n' > test_one.py
found() {
    echo kept > slow.log
    echo kept > other.log
    "$@" > output 2>&1 || true
    [ -f slow.log ] && echo -n "slow.log is there" || echo -n "slow.log is gone"
    [ -f other.log ] && echo ", other.log is there" || echo ", other.log is gone"
}
pytest_says=$(found pytest -q --cov)
erase_says=$(found coverage erase)
coverage run -m pytest -q > output 2>&1
combine_says=$(found coverage combine)
echo "pytest --cov: $pytest_says"
echo "coverage erase: $erase_says"
echo "coverage combine: $combine_says ($(grep -ci 'slow.log' output || true) lines name it)"
[ "$pytest_says" = "slow.log is gone, other.log is there" ] \
    && [ "$erase_says" = "slow.log is gone, other.log is there" ] || { echo "this has changed"; exit 1; }
