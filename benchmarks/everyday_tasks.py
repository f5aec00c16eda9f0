"""Twenty things that people do with pictures: what they type, how long it takes, what peers need.

Run it as ``python benchmarks/everyday_tasks.py [--rounds 3] [--json FILE]``. Every line is run in a shell,
in a library of drawn pictures, and what it prints is compared with what it promises; times are medians.
Processor time is that of the shell and all it waited for. A server's time is that until it would answer.
Keystrokes are characters and Enters. The lines of rclip, ollama and llm are from their documentation
(rclip's README, ollama's pages on the command line and on importing, llm's and llm-clip's README) for the
same pictures; they are counted, not run, because their models would have to be fetched. A dash: the
documentation names no command for the task.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from smallsight.machine.processor import processor

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "src" / "smallsight" / "shipped" / "Smallsight-tiny"
STICKERS = ROOT / "examples" / "stickers"
TEXTS = (
    "MONDAY: NEED COFFEE",
    "TIRED OF MONDAYS",
    "THIS IS FINE",
    "GARDEN ROAD",
    "total 18.90 EUR",
    "see you at 8",
)
PEERS = ("rclip", "ollama", "llm")
_READY_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do: our line, what has to be printed, and the lines of peers that can do it.

    ``shown_by`` is a line that prints it afterwards, where ours prints nothing.
    """

    name: str
    line: str
    prints: str
    peers: dict[str, str] = field(default_factory=dict)
    shown_by: str = ""


TASKS = (
    Task("find a picture by words in it", "smallsight search coffee", "NEED COFFEE"),
    Task(
        "by its meaning",
        "smallsight search exhausted on a weekday",
        "TIRED",
        {"rclip": 'rclip "exhausted on a weekday"', "llm": "llm similar photos -c 'exhausted on a weekday'"},
    ),
    Task(
        "by another picture",
        "smallsight search --similar cat.png",
        "small cat.jpg",
        {"rclip": "rclip ./cat.png", "llm": "llm similar photos --binary -i cat.png"},
    ),
    Task(
        "copy all pictures with a tag",
        "smallsight search tag:pets -n 1000 -0 | xargs -0 cp -t ~/pets",
        "snail.png",
        shown_by="ls ~/pets",
    ),
    Task(
        "caption a picture",
        "smallsight describe cat.png",
        "There is a cat",
        {
            "ollama": 'ollama run gemma3 "Describe this image. ./cat.png"',
            "llm": "llm 'describe this image' -a cat.png",
        },
    ),
    Task("caption a folder into JSON lines", "smallsight describe . --out captions.jsonl", "described"),
    Task(
        "ask a question",
        "smallsight describe cat.png --prompt 'What colour is the background?'",
        r"\w",
        {
            "ollama": 'ollama run gemma3 "What colour is the background? ./cat.png"',
            "llm": "llm 'What colour is the background?' -a cat.png",
        },
    ),
    Task("tag ten pictures", "smallsight edit trip/*.png --tag trip", "10 changed"),
    Task("rename a tag", "smallsight tags rename pets animals", "animals"),
    Task("undo that", "smallsight undo", "Undone"),
    Task("export to a spreadsheet", "smallsight export --out pictures.csv", "written"),
    Task("write XMP sidecars", "smallsight export --format xmp-sidecars", "sidecars? written"),
    Task(
        "take in a new picture",
        "smallsight index",
        "1 new",
        {"rclip": "rclip cat"},
    ),
    Task(
        "serve OpenAI's API",
        "smallsight serve --model Smallsight-tiny",
        "http://127.0.0.1",
        {"ollama": "ollama serve"},
    ),
    Task("list duplicates", "smallsight duplicates", "copy of cat.png"),
    Task("see what is known about a picture", "smallsight show cat.png", "SHA-256"),
    Task("back up", "smallsight library backup pictures.backup", "Backed up and checked"),
    Task(
        "add a model from a folder",
        "smallsight models add ~/checkpoints/my-smolvlm",
        "my-smolvlm",
        {"ollama": "echo FROM ~/checkpoints/my-smolvlm > Modelfile\nollama create my-smolvlm"},
    ),
    Task("check the installation", "smallsight doctor", "(?i)memory"),
    Task(
        "caption from Python",
        """python -c 'import smallsight; print(smallsight.load("Smallsight-tiny").describe("cat.png"))'""",
        "There is a cat",
        {
            "ollama": 'python -c \'import ollama; print(ollama.generate("gemma3", "Describe", '
            'images=["cat.png"]).response)\'',
            "llm": 'python -c \'import llm; print(llm.get_model().prompt("Describe", '
            'attachments=[llm.Attachment(path="cat.png")]))\'',
        },
    ),
)


def keystrokes(lines: str) -> int:
    """Count the characters of one or more lines, and an Enter for each."""
    return len(lines) + 1


def draw_pictures(pictures: Path) -> None:
    """Draw a folder of pictures: drawings, some with words, a copy, and ten of one trip."""
    (pictures / "trip").mkdir(parents=True)
    shutil.copyfile(STICKERS / "sticker_8.png", pictures / "cat.png")
    shutil.copyfile(STICKERS / "sticker_8.png", pictures / "copy of cat.png")
    with Image.open(STICKERS / "sticker_8.png") as cat:
        cat.convert("RGB").resize((120, 120)).save(pictures / "small cat.jpg")
    shutil.copyfile(STICKERS / "sticker_7.png", pictures / "snail.png")
    font = ImageFont.load_default(size=26)
    for number, text in enumerate(TEXTS):
        image = Image.new("RGB", (32 + 16 * len(text), 80), (250, 250, 245))
        ImageDraw.Draw(image).text((16, 22), text, font=font, fill=(10, 10, 30))
        image.save(pictures / f"words {number}.png")
    for number in range(10):
        Image.new("RGB", (64, 48), (25 * number, 90, 200 - 9 * number)).save(
            pictures / "trip" / f"{number}.png"
        )


def make_home(home: Path) -> None:
    """Make somebody's home with pictures, an indexed library and some tags."""
    draw_pictures(home / "Pictures")
    (home / "pets").mkdir()
    shutil.copytree(SHIPPED, home / "checkpoints" / "my-smolvlm")
    (home / "bin").mkdir()
    for name, arguments in (("smallsight", " -m smallsight"), ("python", "")):
        program = home / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
        program.chmod(0o755)
    for line in ("smallsight index ~/Pictures", "smallsight edit cat.png snail.png --tag pets"):
        subprocess.run(["bash", "-c", line], env=environment(home), cwd=home / "Pictures", check=True)
    Image.new("RGB", (90, 60), "teal").save(home / "Pictures" / "new.png")  # not indexed yet


def environment(home: Path) -> dict[str, str]:
    """Return the environment of somebody with this home."""
    own = {
        "HOME": str(home),
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "SMALLSIGHT_HOME": str(home / "data"),
        "SMALLSIGHT_SERVER__PORT": "0",
        "COLUMNS": "120",
        "no_proxy": "127.0.0.1",
    }
    return {**{k: v for k, v in os.environ.items() if not k.startswith("SMALLSIGHT_")}, **own}


def run(task: Task, home: Path) -> tuple[float, float]:
    """Run a task as typed; return wall and processor seconds. Raises SystemExit where it fails."""
    is_server = task.line.split()[1] == "serve"
    with tempfile.TemporaryFile("w+") as printed:
        started = time.perf_counter()
        process = subprocess.Popen(
            ["bash", "-c", f"exec {task.line}" if is_server else task.line],
            env=environment(home),
            cwd=home / "Pictures",
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        ready_s = wait_until_ready(process, printed, started) if is_server else 0.0
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = ready_s or time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read()
    if task.shown_by:
        text = subprocess.run(
            ["bash", "-c", task.shown_by], env=environment(home), capture_output=True, text=True, check=True
        ).stdout
    if process.returncode not in ((0, 130) if is_server else (0,)) or not re.search(task.prints, text):
        raise SystemExit(f"{task.line}\nexit code {process.returncode}\n{text}")
    return wall_s, usage.ru_utime + usage.ru_stime


def wait_until_ready(process: subprocess.Popen[bytes], printed: Any, started: float) -> float:  # noqa: ANN401
    """Return the seconds until a server would answer, and stop it as Ctrl-C does."""
    while time.perf_counter() - started < _READY_WITHIN_S and process.poll() is None:
        time.sleep(0.02)
        text = os.pread(printed.fileno(), 100_000, 0).decode(errors="replace")
        if found := re.search(r"http://127\.0\.0\.1:\d+", text):
            try:
                with urllib.request.urlopen(f"{found[0]}/health/ready", timeout=5):
                    ready_s = time.perf_counter() - started
            except OSError:
                continue
            process.send_signal(signal.SIGINT)
            return ready_s
    raise SystemExit("The server was not ready.")


def measure(rounds: int) -> list[dict[str, Any]]:
    """Run all tasks in order, several times from the same beginning, and return the medians."""
    times: dict[str, list[tuple[float, float]]] = {task.name: [] for task in TASKS}
    with tempfile.TemporaryDirectory() as temporary:
        home, saved = Path(temporary) / "home", Path(temporary) / "saved"
        make_home(home)
        shutil.copytree(home, saved)
        for _ in range(rounds):
            shutil.rmtree(home)
            shutil.copytree(saved, home)
            for task in TASKS:
                times[task.name].append(run(task, home))
    return [
        {
            "task": task.name,
            "typed": task.line,
            "wall_s": statistics.median(wall_s for wall_s, _ in times[task.name]),
            "cpu_s": statistics.median(cpu_s for _, cpu_s in times[task.name]),
            "keystrokes": keystrokes(task.line),
            "peers": {
                peer: {"typed": task.peers[peer], "keystrokes": keystrokes(task.peers[peer])}
                for peer in PEERS
                if peer in task.peers
            },
        }
        for task in TASKS
    ]


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Print the table in Markdown, and the sums over the tasks that a peer can do."""
    print(
        f"| task | typed | wall, s | CPU, s | keys | {' | '.join(PEERS)} |\n|---|---|---|---|---|---|---|---|"
    )
    for row in rows:
        typed = row["typed"].replace("|", "\\|")
        counts = [str(row["peers"][peer]["keystrokes"]) if peer in row["peers"] else "-" for peer in PEERS]
        print(
            f"| {row['task']} | `{typed}` | {row['wall_s']:.2f} | {row['cpu_s']:.2f} | {row['keystrokes']} | "
            f"{' | '.join(counts)} |"
        )
    print()
    for peer in PEERS:
        both = [row for row in rows if peer in row["peers"]]
        ours = sum(row["keystrokes"] for row in both)
        theirs = sum(row["peers"][peer]["keystrokes"] for row in both)
        print(f"{peer} names a command for {len(both)} of {len(rows)}: {theirs} keystrokes, ours {ours}")


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments.rounds)
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    report(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps({"processor": str(processor()), "tasks": rows}, indent=1))


if __name__ == "__main__":
    main()
