"""Checks the first answer of a model whose layers are on several devices.

Copies between devices can be damaged without an error, by drivers or by the bus; a model then answers
gibberish.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

from smallsight.errors import ModelNotRunnableError
from smallsight.model.model import Model
from smallsight.policy.gibberish import gibberish_reasons

_NUM_TOKENS = 40


def require_sense(model: Model, devices: tuple[str, ...]) -> None:
    """Close the model and raise ModelNotRunnableError if it describes a picture in gibberish.

    Does nothing for a model on one device.
    """
    if len(devices) < 2:
        return
    image = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(image).ellipse((24, 24, 104, 104), fill="red")
    try:
        answer = model.describe(image, max_tokens=_NUM_TOKENS)
        reasons = gibberish_reasons(answer.text, finish_reason=answer.finish_reason)
        if reasons:
            raise ModelNotRunnableError(
                f"{model.name} on {' and '.join(devices)} answers gibberish ({', '.join(reasons)}): copies "
                "between these devices may be damaged.",
                hint=f"use one device, such as device={devices[0]!r}, and a precision that fits there.",
            )
    except BaseException:
        model.close()
        raise
