"""What Immich's names of search models stand for here.

Source: Immich's machine-learning service, models/constants.py: an architecture of open_clip, two underscores,
and the data that it was trained with.
"""

from __future__ import annotations

from collections.abc import Mapping

# Only the same weights: a vector is compared with those that another server has made.
_CATALOGUED: Mapping[str, str] = {
    "vit-b-16-siglip__webli": "SigLIP-base-patch16-224",
    "vit-b-16-siglip2__webli": "SigLIP2-base-patch16-224",
    "vit-b-32__openai": "CLIP-ViT-B-32",
}
_TEXT_MODELS = ("all-minilm-l6-v2", "sentence-transformers/all-minilm-l6-v2", "all-minilm-l6-v2__onnx")


def picture_model_name(name: str) -> str:
    """Return the name in the catalogue, or the name as it is: it may be one of the catalogue already.

    Immich leaves out the folder of its own copies, such as "immich-app/", and so does this.
    """
    own = name.rpartition("immich-app/")[2]
    return _CATALOGUED.get(own.casefold(), own)


def is_text_model(name: str) -> bool:
    """Return whether a name stands for the library's model of texts, which embeds no pictures."""
    return name.casefold() in _TEXT_MODELS
