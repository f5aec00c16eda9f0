"""Embeds the pictures of a folder whenever a line comes in, and answers with the seconds as JSON.

Run by benchmarks/picture_embedding.py: python picture_contender.py KIND MODEL FOLDER THREADS [CHECKPOINT]
KIND is smallsight-int8, smallsight-bf16, smallsight-openvino-int8 (without the extension), open_clip,
open_clip-fp32, onnxruntime-int8 or rclip; MODEL is siglip or clip.
Those that are not Smallsight get random weights of the same sizes in their own layout: none is downloaded.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from process_memory import memory_mib

Embed = Callable[[Sequence[Path]], int]
BATCH = 8  # rclip's default; larger ones are no faster on two cores
_OPEN_CLIP_NAMES = {"siglip": "ViT-B-16-SigLIP", "clip": "ViT-B-32"}
_RCLIP_NAME = "ViT-B-32-256"
_DECLARED: list[Any] = []


@contextlib.contextmanager
def smallsight(precision: str, checkpoint: Path, threads: int, *, kernels: bool = True) -> Iterator[Embed]:
    """Yield the public interface: files decoded in the sandbox, then the network."""
    from smallsight import load_embedding_model
    from smallsight.settings import Settings

    settings = Settings(home=checkpoint.parent / "home", threads=threads, kernels=kernels)
    with load_embedding_model(checkpoint, precision=precision, settings=settings) as model:
        yield lambda paths: len(model.embed_pictures(paths))


@contextlib.contextmanager
def open_clip_in(precision: str, model_name: str, threads: int) -> Iterator[Embed]:
    """Yield open_clip in "bf16" or "fp32" with its transform, as its documentation shows it, in batches."""
    import torch
    from PIL import Image

    open_clip = imported_open_clip()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    name = _OPEN_CLIP_NAMES[model_name]
    model, _, transform = open_clip.create_model_and_transforms(name, pretrained=None, precision=precision)
    model.eval()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32

    def embed(paths: Sequence[Path]) -> int:
        number = 0
        for start in range(0, len(paths), BATCH):
            images = [transform(Image.open(path)) for path in paths[start : start + BATCH]]
            with torch.inference_mode():
                vectors = model.encode_image(torch.stack(images).to(dtype), normalize=True)
            number += len(vectors.float().numpy())
        return number

    yield embed


@contextlib.contextmanager
def onnxruntime_int8(model_name: str, threads: int) -> Iterator[Embed]:
    """Yield ONNX Runtime with open_clip's vision tower, its matrices dynamically quantised to int8."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        exported, transform = exported_tower(_OPEN_CLIP_NAMES[model_name], Path(folder))
        quantised = Path(folder, "int8.onnx")
        quantize_dynamic(
            exported, quantised, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"]
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(quantised), options, providers=["CPUExecutionProvider"])
        import numpy as np

        def embed(paths: Sequence[Path]) -> int:
            number = 0
            for start in range(0, len(paths), BATCH):
                images = [transform(Image.open(path)).numpy() for path in paths[start : start + BATCH]]
                (vectors,) = session.run(None, {"input": np.stack(images)})
                number += len(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
            return number

        yield embed


@contextlib.contextmanager
def rclip() -> Iterator[Embed]:
    """Yield rclip's own indexing of a folder, into a new database each time, with its network's sizes."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RCLIP_DATADIR"] = folder
        from rclip import db, model_download
        from rclip.main import RClip
        from rclip.model import Model

        place = Path(folder, model_download.MODEL_SUBDIR)
        place.mkdir(parents=True)
        exported_tower(_RCLIP_NAME, place, model_download.VISUAL_ONNX)
        model = Model()

        def embed(paths: Sequence[Path]) -> int:
            with tempfile.TemporaryDirectory() as place:
                database = db.DB(str(Path(place, "db.sqlite3")))
                indexing = RClip(model, database, BATCH, None)
                indexing.ensure_index(str(paths[0].parent))
                indexing.close()
                found = list(database.get_image_vectors_by_dir_path(str(paths[0].parent)))
                database.close()
                return len(found)

        yield embed


def imported_open_clip() -> Any:  # noqa: ANN401 - a package without types
    """Import open_clip, also where torchvision is built for a GPU and torch is not.

    Two operators that find boxes are declared then, without which torchvision cannot be imported; embedding
    uses neither.
    """
    import torch

    operators: Any = torch.library  # its functions have no types
    library = operators.Library("torchvision", "FRAGMENT")
    if torch.version.cuda is None:
        for name in ("nms", "qnms"):
            with contextlib.suppress(RuntimeError):  # there already
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DECLARED.append(library)  # what is declared lasts as long as this object
    return importlib.import_module("open_clip")


def exported_tower(name: str, folder: Path, file_name: str = "fp32.onnx") -> tuple[Path, Any]:
    """Export open_clip's vision tower with random weights; return the file and the transform."""
    import torch

    open_clip = imported_open_clip()
    torch.manual_seed(0)
    model, _, transform = open_clip.create_model_and_transforms(name, pretrained=None)
    side = (
        model.visual.image_size[0] if isinstance(model.visual.image_size, tuple) else model.visual.image_size
    )
    path = folder / file_name
    torch.onnx.export(
        model.visual.eval(),
        (torch.zeros(2, 3, side, side),),
        str(path),
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    return path, transform


def main() -> None:
    """Answer until the input ends; the first answer says that everything is loaded."""
    kind, model_name, folder, threads = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    paths = sorted(folder.glob("*.jpg"))
    chosen = {
        "smallsight-int8": lambda: smallsight("int8", Path(sys.argv[5]), threads),
        "smallsight-bf16": lambda: smallsight("bf16", Path(sys.argv[5]), threads),
        "smallsight-openvino-int8": lambda: smallsight("int8", Path(sys.argv[5]), threads, kernels=False),
        "open_clip": lambda: open_clip_in("bf16", model_name, threads),
        "open_clip-fp32": lambda: open_clip_in("fp32", model_name, threads),
        "onnxruntime-int8": lambda: onnxruntime_int8(model_name, threads),
        "rclip": rclip,
    }[kind]
    with chosen() as embed:
        embed(paths[:BATCH])  # loads what is loaded at the first use
        print(json.dumps(memory_mib()), file=replies, flush=True)
        for _ in sys.stdin:
            before_s, started_s = _cpu_s(), time.perf_counter()
            number = embed(paths)
            wall_s, cpu_s = time.perf_counter() - started_s, _cpu_s() - before_s
            answer = {"pictures": number, "wall_s": wall_s, "cpu_s": cpu_s, **memory_mib()}
            print(json.dumps(answer), file=replies, flush=True)


def _cpu_s() -> float:
    """Return the processor seconds of this process and its children, running or ended."""
    total = sum(os.times()[:4])
    for stat in Path("/proc/self/task").glob("*/children"):
        for pid in stat.read_text().split():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(one) for one in fields[11:13]) / os.sysconf("SC_CLK_TCK")
    return total


if __name__ == "__main__":
    main()
