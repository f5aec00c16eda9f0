"""``python -m smallsight`` is the same as ``smallsight``."""

from smallsight.cli.main import run

if __name__ == "__main__":
    run()
