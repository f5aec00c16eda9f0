"""Started in place of meme-search's ``app/app.py``: ``testing`` is the test mode, nothing is production.

Copy it over that file and the generator's own integration test runs against ours.
"""

import os
import sys

COMMAND = [sys.executable, "-m", "smallsight", "generator", "--quiet"]

if __name__ == "__main__":
    os.execv(COMMAND[0], [*COMMAND, "--test-mode"] if sys.argv[1:] == ["testing"] else COMMAND)
