#!/usr/bin/env bash
# OpenVINO: `import openvino` alone begins a usage report and writes an id for this user to the home folder.
#
# Version: openvino 2026.4.1, openvino-telemetry 2025.2.0, Python 3.11, Linux.
# Behaviour: the package's __init__ imports openvino.tools.ovc, which sends an event "ov / import / general_import"
#   through openvino_telemetry, a package that the wheel requires. No model is converted and no question is asked
#   (enable_opt_in_dialog is False). A client id and a file of counts appear in ~/intel before the import returns.
#   Where openvino_telemetry cannot be imported, a stub is used and nothing is written.
# Output seen:
#   plain import: intel intel/openvino_ga_cid intel/stats
#   openvino_telemetry marked as absent: nothing
# Exits 1 if this changes. Nothing is sent from here: name resolution is refused in both runs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 openvino-telemetry==2025.2.0 numpy==2.4.6
cat > "$folder/import.py" <<'PYTHON'
import socket
import sys


def refuse(*arguments, **options):
    raise OSError("no network here")


socket.getaddrinfo = refuse
if sys.argv[1] == "absent":
    sys.modules["openvino_telemetry"] = None
import openvino  # noqa: E402, F401
PYTHON
written() {
    mkdir "$folder/$1"
    env -u CI HOME="$folder/$1" "$folder/venv/bin/python" "$folder/import.py" "$1" >/dev/null 2>&1
    (cd "$folder/$1" && find . -mindepth 1 | sed 's|^\./||' | sort | tr '\n' ' ' | sed 's/ $//')
}
plain=$(written plain)
absent=$(written absent)
echo "plain import: ${plain:-nothing}"
echo "openvino_telemetry marked as absent: ${absent:-nothing}"
[ "$plain" = "intel intel/openvino_ga_cid intel/stats" ] && [ -z "$absent" ] || { echo "this has changed"; exit 1; }
