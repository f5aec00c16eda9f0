"""Measures `smallsight caption` with one and two processes against a loop over transformers, in one run.

The plain loop opens a picture, runs the processor and calls `generate`, one picture after another, with the
same checkpoint, prompt and limit, in bf16 and fp32. All describe generated pictures, different ones, so that
no cache answers. Two processes are two shards with one thread each. The loop describes fewer pictures, since
its rate does not depend on their number; loading is left out of its time and counted in ours. With --alone,
one process describes only that many. Where the machine is busy, processor time counts, and threads that wait
for one another spin: compare with --threads 1 there, which holds for ours and the loop.

Run: python benchmarks/caption_throughput.py --pictures 2000 --plain 50
     python benchmarks/caption_throughput.py --pictures 20000 --alone 4000 --plain 100    (the promised size)
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from generator_throughput import draw_pictures

from smallsight.machine.processor import processor

_CHECKPOINT = Path(__file__).resolve().parents[1] / "src" / "smallsight" / "shipped" / "Smallsight-tiny"


def main() -> None:
    """Measure all and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--alone", type=int, help="pictures of one process; all by default")
    parser.add_argument("--plain", type=int, default=50, help="pictures of the plain loop; 0 leaves it out")
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--side", type=int, default=384, help="of the pictures, in pixels")
    parser.add_argument("--precision", default="auto", help="of our weights")
    parser.add_argument(
        "--threads", type=int, help="of one process and of the plain loop; all cores by default"
    )
    parser.add_argument(
        "--plain-loop", type=Path, help=argparse.SUPPRESS
    )  # this program calls itself with it
    parser.add_argument("--dtype", default="bfloat16", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain_loop is not None:
        sys.stdout.write(json.dumps(plain_loop(options)) + "\n")
        return
    with tempfile.TemporaryDirectory() as below:
        pictures = Path(below, "pictures")
        draw_pictures(pictures, options.pictures, options.side, compress_level=1)
        found: dict[str, Any] = {
            "processor": str(processor()),
            "pictures": options.pictures,
            "side_px": options.side,
            "max_tokens": options.max_tokens,
            "precision": options.precision,
            "threads": options.threads,
            "load_average": os.getloadavg()[0],
        }
        warm = some_of(pictures, 1)
        caption(Path(below), warm, options, ["1/1"])  # stores the quantised weights
        alone = some_of(pictures, options.alone or options.pictures)
        found["one_process"] = caption(Path(below), alone, options, ["1/1"])
        found["two_processes"] = caption(Path(below), pictures, options, ["1/2", "2/2"])
        if options.plain:
            found["plain_loop"] = {
                dtype: started_plain_loop(pictures, options, dtype) for dtype in ("bfloat16", "float32")
            }
            add_ratios(found)
        sys.stdout.write(json.dumps(found, indent=1) + "\n")


def add_ratios(found: dict[str, Any]) -> None:
    """Compare each of our runs with the better of the plain loops, by the clock and by processor time."""
    loops = found["plain_loop"].values()
    most_per_s = max(one["pictures_per_s"] for one in loops)
    least_ms = min(one["processor_ms_per_picture"] for one in loops)
    for name in ("one_process", "two_processes"):
        ours = found[name]
        ours["times_the_plain_loop"] = round(ours["pictures_per_s"] / most_per_s, 2)
        ours["times_by_processor_time"] = round(least_ms / ours["processor_ms_per_picture"], 2)


def some_of(pictures: Path, number: int) -> Path:
    """Return a folder with the first pictures of another one."""
    folder = pictures.with_name(f"first-{number}")
    folder.mkdir()
    for path in sorted(pictures.iterdir())[:number]:
        os.link(path, folder / path.name)
    return folder


def caption(below: Path, pictures: Path, options: argparse.Namespace, shards: list[str]) -> dict[str, Any]:
    """Run one process for each shard; return the rate from the start of the first to the end of the last."""
    environment = {**os.environ, "SMALLSIGHT_HOME": str(below / "home")}
    threads = 1 if len(shards) > 1 else options.threads
    if threads is not None:
        environment["SMALLSIGHT_THREADS"] = str(threads)
    (below / "home").mkdir(exist_ok=True)
    outs = [below / f"{pictures.name}-{len(shards)}-{number}.jsonl" for number in range(len(shards))]
    spent_before_s = processor_s_of_children()
    began_s = time.perf_counter()
    running = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "smallsight", "caption", str(pictures), "--out", str(out)),
                *("--shard", shard, "--max-tokens", str(options.max_tokens), "--json", "--quiet"),
                *("--precision", options.precision),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for shard, out in zip(shards, outs, strict=True)
    ]
    reports = [json.loads(process.communicate()[0]) for process in running]
    seconds = time.perf_counter() - began_s
    number = sum(report["described"] for report in reports)
    words = [len(json.loads(line)["caption"].split()) for out in outs for line in out.open(encoding="ascii")]
    return {
        "described": number,
        "seconds": round(seconds, 2),
        "pictures_per_s": round(number / seconds, 2),
        "processor_ms_per_picture": round((processor_s_of_children() - spent_before_s) / number * 1000, 1),
        "words_per_picture": round(float(np.mean(words)), 1),
    }


def processor_s_of_children() -> float:
    """Return the processor time of all processes that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def started_plain_loop(pictures: Path, options: argparse.Namespace, dtype: str) -> dict[str, Any]:
    """Run the plain loop in a process without our runtime, and return its rate."""
    arguments = ["--plain-loop", pictures, "--plain", options.plain, "--max-tokens", options.max_tokens]
    command = [sys.executable, __file__, *map(str, arguments), "--dtype", dtype]
    command += [] if options.threads is None else ["--threads", str(options.threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def plain_loop(options: argparse.Namespace) -> dict[str, Any]:
    """Describe pictures one by one with transformers; return the rate without the loading."""
    import torch  # noqa: PLC0415 - only here
    from PIL import Image  # noqa: PLC0415
    from transformers import Idefics3ForConditionalGeneration  # noqa: PLC0415

    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    dtype = getattr(torch, options.dtype)
    model = Idefics3ForConditionalGeneration.from_pretrained(
        _CHECKPOINT, dtype=dtype, attn_implementation="sdpa"
    ).eval()
    processor_of_model = _processor()
    chat = [
        {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": "Can you describe this image?"}],
        }
    ]
    prompt = processor_of_model.apply_chat_template(chat, add_generation_prompt=True)
    paths = sorted(options.plain_loop.glob("*.png"))[: options.plain + 1]
    began_s = began_processor_s = 0.0
    num_words = 0
    for number, path in enumerate(paths):
        if number == 1:  # the first is slower
            began_s, began_processor_s = time.perf_counter(), time.process_time()
        with Image.open(path) as image, torch.no_grad():
            inputs = processor_of_model(text=prompt, images=[image.convert("RGB")], return_tensors="pt")
            inputs["pixel_values"] = inputs["pixel_values"].to(dtype)
            made = model.generate(**inputs, do_sample=False, max_new_tokens=options.max_tokens)
        answer = made[:, inputs["input_ids"].shape[1] :]
        num_words += len(processor_of_model.batch_decode(answer, skip_special_tokens=True)[0].split())
    seconds, processor_s = time.perf_counter() - began_s, time.process_time() - began_processor_s
    return {
        "described": len(paths) - 1,
        "seconds": round(seconds, 2),
        "pictures_per_s": round((len(paths) - 1) / seconds, 3),
        "processor_ms_per_picture": round(processor_s / (len(paths) - 1) * 1000, 1),
        "words_per_picture": round(num_words / len(paths), 1),
    }


def _processor() -> Any:  # noqa: ANN401 - of transformers
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415
    from transformers.models.idefics3.image_processing_pil_idefics3 import (  # noqa: PLC0415
        Idefics3ImageProcessorPil,
    )
    from transformers.models.idefics3.processing_idefics3 import Idefics3Processor  # noqa: PLC0415

    config = json.loads((_CHECKPOINT / "processor_config.json").read_text(encoding="utf-8"))
    template = json.loads((_CHECKPOINT / "chat_template.json").read_text(encoding="utf-8"))["chat_template"]
    return Idefics3Processor(
        image_processor=Idefics3ImageProcessorPil.from_pretrained(_CHECKPOINT),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(_CHECKPOINT),
        image_seq_len=config["image_seq_len"],
        chat_template=template,
    )


if __name__ == "__main__":
    main()
