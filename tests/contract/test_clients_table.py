"""The page about clients is what their records and the lock files say, and the records lead to programs."""

import subprocess
import sys

from contract.checkout import ROOT, assert_none
from e2e.clients.client_records import HERE, read_clients

CLIENTS = [*read_clients("python"), *read_clients("npm")]


def test_the_page_is_up_to_date():
    command = [sys.executable, ROOT / "docs" / "write_clients_table.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run python docs/write_clients_table.py\n{done.stdout}{done.stderr}"


def test_every_record_has_a_name_and_a_program():
    names = [one.name for one in CLIENTS]
    assert_none("a name is used once", {name for name in names if names.count(name) > 1})
    assert_none("programs exist", [one.program for one in CLIENTS if not (HERE / one.program).is_file()])


def test_what_does_not_work_has_a_reason_and_words():
    wrong = [one.name for one in CLIENTS if one.cannot.keys() != one.says.keys()]
    wrong += [one.name for one in CLIENTS if set(one.cannot) & set(one.features)]
    assert_none("cannot and says have the same features, none of which works", wrong)
