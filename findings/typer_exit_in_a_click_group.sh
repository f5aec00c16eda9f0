#!/usr/bin/env bash
# Typer: a Typer command in a Click group ends with a traceback and exit code 1 when it raises typer.Exit(0).
#
# Version: typer 0.29.2, click 8.5.1, Python 3.11; beside it typer 0.23.0.
# Behaviour: typer.main.get_command(app), put into a click.Group with add_command, still parses and runs. But typer
#   brings its own copy of Click since, so that typer.Exit and the errors of wrong usage are no longer those that
#   Click's main catches. `raise typer.Exit(0)`, which means success, becomes an exception that nobody handles; an
#   argument of the wrong type becomes a traceback instead of a usage error (exit code 1 in place of 2).
# Output seen:
#   typer 0.29.2: exit code 1 for Exit(0), 1 for Exit(3), 1 for a wrong argument
#   typer 0.23.0: exit code 0 for Exit(0), 3 for Exit(3), 2 for a wrong argument
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/mounted.py" <<'PYTHON'
import click
import typer

app = typer.Typer()


@app.command()
def check(code: int) -> None:
    raise typer.Exit(code)


@click.group()
def top() -> None:
    pass


top.add_command(typer.main.get_command(app), "check")
top()
PYTHON
codes() {
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/pip" install --quiet --disable-pip-version-check "typer==$1" click==8.5.1
    for argument in 0 3 wrong; do
        code=0
        "$folder/$1/bin/python" "$folder/mounted.py" check "$argument" >/dev/null 2>&1 || code=$?
        echo -n "$code "
    done
}
new=$(codes 0.29.2)
old=$(codes 0.23.0)
echo "typer 0.29.2: $new"
echo "typer 0.23.0: $old"
[ "$new" = "1 1 1 " ] && [ "$old" = "0 3 2 " ] || { echo "this has changed"; exit 1; }
