"""What Smallsight-tiny's tower makes of the pictures that ``train_looks`` learns from.

The tower is frozen, so it is run once for each picture: 144 patches of 192 numbers, float16, in a file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset15 as ops
from PIL import Image
from rich.progress import track

from smallsight.catalog.files import shipped_directory
from smallsight.families.drawings.config import TOWER
from smallsight.families.smolvlm.config import read_config
from smallsight.families.smolvlm.image_processor import ImageProcessor
from smallsight.families.smolvlm.stored import store_vision
from smallsight.families.smolvlm.weights import SmolVLMWeights
from smallsight.graph.encoder_layers import EncoderLayers
from smallsight.graph.linear import linear
from smallsight.quant.scheme import scheme_named
from training.look_pictures import drawings
from training.look_texts import Shown
from training.vocabulary import Split


@dataclass(frozen=True, eq=False)
class Pictures:
    """What the tower says of pictures, float16 [pictures, patches, width], and what is in each."""

    features_NPD: NDArray[np.float16]
    shown: list[Shown]


class Tower:
    """The vision tower of the shipped model in float32, from a picture to its patches."""

    def __init__(self) -> None:
        folder = shipped_directory(TOWER)
        config = read_config(folder)
        weights = SmolVLMWeights((folder / "model.safetensors",), config)
        self._stored = dict(store_vision(weights, config, scheme_named("fp32")))
        self._vision = config.vision
        self._processor = ImageProcessor.load(folder)
        self.num_patches = config.vision.patches_per_side**2
        self.width = config.vision.hidden
        core = ov.Core()
        core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})
        self._request = core.compile_model(self._graph(), "CPU").create_infer_request()

    def patches(self, image: Image.Image) -> NDArray[np.float32]:
        """Return [patches, width] of a picture, made a square without regard to its sides."""
        side = self._vision.image_px
        square = image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
        self._request.infer([self._processor.to_patches(np.asarray(square), self._vision.patch_px)])
        patches_PD: NDArray[np.float32] = self._request.get_output_tensor(0).data[0].copy()
        return patches_PD

    def _graph(self) -> ov.Model:
        vision = self._vision
        layers = EncoderLayers(
            self._stored, vision.hidden, vision.heads, vision.norm_epsilon, "gelu_pytorch_tanh"
        )
        shape = [1, self.num_patches, 3 * vision.patch_px**2]
        patches = ops.parameter(shape, np.float32, name="patches")
        hidden = linear(patches, layers.vector("vision.patches.weight"))
        hidden = ops.add(hidden, ops.constant(layers.vector("vision.positions")[None]))
        for layer in range(vision.layers):
            hidden = layers.layer(f"vision.layers.{layer}", hidden)
        return ov.Model([ops.result(layers.norm("vision.norm", hidden))], [patches], "tower")


def features_of(path: Path, first_seed: int, number: int, split: Split) -> Pictures:
    """Return the features of these drawings, from the file at path if they are there."""
    tower = Tower()
    shape = (number, tower.num_patches, tower.width)
    described = path.with_suffix(".json")
    if not described.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        features = np.lib.format.open_memmap(path, "w+", np.float16, shape)
        shown: list[Shown] = []
        for row, (image, one) in enumerate(
            track(drawings(first_seed, number, split), f"Drawing ({split})", total=number)
        ):
            features[row] = tower.patches(image)
            shown.append(one)
        features.flush()
        described.write_text(json.dumps([one.as_data() for one in shown]), encoding="utf-8")
    told = json.loads(described.read_text(encoding="utf-8"))
    return Pictures(np.load(path, mmap_mode="r"), [Shown.of_data(one) for one in told])
