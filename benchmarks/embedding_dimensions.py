"""Measures what shorter vectors of the text model cost, on the names and docstrings of this repository.

A name of a function or class is the query, the first sentence of its docstring the text to be found.

Run: python benchmarks/embedding_dimensions.py [--pairs 1200]
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from smallsight.catalog.text_model import find_text_model
from smallsight.reading.text_embedder import TextEmbedder
from smallsight.settings import load_settings

SOURCE = Path(__file__).parent.parent / "src" / "smallsight"
DIMENSIONS = (384, 256, 192, 128, 64)
NEAREST = 10

Vectors: TypeAlias = NDArray[np.float32]


def described_names(limit: int) -> dict[str, str]:
    """Return the first line of a docstring by the words of its name, for names of several words."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", node.name).replace("_", " ").strip().lower()
                text = ast.get_docstring(node)
                if text and " " in words:
                    found[words] = text.partition("\n")[0]
    return dict(list(found.items())[:limit])


def nearest(vectors: Vectors) -> NDArray[np.int64]:
    """Return the indices of the nearest others of each vector."""
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    return np.argsort(-similarity, axis=1)[:, :NEAREST]


def shortened(vectors: Vectors, dimensions: int) -> Vectors:
    """Return the beginnings of vectors, of length 1 again."""
    cut = vectors[:, :dimensions]
    whole: Vectors = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    return whole


def measure(queries: Vectors, texts: Vectors, dimensions: int) -> dict[str, float]:
    """Return how well queries find their texts with shorter vectors."""
    short = shortened(texts, dimensions)
    similarity = shortened(queries, dimensions) @ short.T
    rank = (similarity >= np.diag(similarity)[:, None]).sum(axis=1)
    pairs = zip(nearest(texts), nearest(short), strict=True)
    shared = [len(set(whole) & set(cut)) / NEAREST for whole, cut in pairs]
    return {
        "dimensions": dimensions,
        "first": round(float((rank == 1).mean()), 3),
        "mean_reciprocal_rank": round(float((1 / rank).mean()), 3),
        "same_nearest": round(float(np.mean(shared)), 2),
    }


def main() -> None:
    """Measure and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1200)
    pairs = described_names(parser.parse_args().pairs)
    settings = load_settings()
    model_dir = find_text_model(settings)
    if model_dir is None:
        raise SystemExit("The text model is not here: see `smallsight doctor`.")
    with TextEmbedder.load(model_dir, precision=settings.embedding.precision) as embedder:
        queries, texts = embedder.embed(list(pairs)), embedder.embed(list(pairs.values()))
    rows = [measure(queries, texts, dimensions) for dimensions in DIMENSIONS]
    print(
        json.dumps({"pairs": len(pairs), "precision": settings.embedding.precision, "rows": rows}, indent=2)
    )


if __name__ == "__main__":
    main()
