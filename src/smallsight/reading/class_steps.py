"""Tells the likeliest class of each step of a line: among the common classes, and among all where in doubt.

A step's answer never depends on other steps, of its line or another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

__all__ = ["ClassSteps", "StepClassifier", "steps_of"]

# The logit of the best common class, and by how much it exceeds that of the best probe. Of 42,000 steps that
# were looked at, 1,400 of them ideographs, no other class was likely where both together were above 27.9.
_CLEAR = 30.0
_ROWS = (
    32  # steps that are classified at once: always as many, so that a step's answer never depends on others
)


@dataclass(frozen=True, slots=True, eq=False)
class ClassSteps:
    """The class of each step, its probability, and that of a space."""

    classes_T: NDArray[np.int64]
    probabilities_T: NDArray[np.float32]
    spaces_T: NDArray[np.float32]


class StepClassifier:
    """Reads the logits of few classes, and computes those of all where that is needed; not thread-safe."""

    def __init__(self, few_F: NDArray[np.int64], num_common: int, every: ov.CompiledModel | None) -> None:
        self._few_F = few_F
        self._num_common = num_common
        self._stands_for_F = np.ones(len(few_F), np.float32)
        self._every = None
        self._doubtful: list[tuple[ClassSteps, NDArray[np.intp], NDArray[np.float32]]] = []
        if every is not None:
            num_others = every.output(0).partial_shape[1].get_length() - num_common
            self._stands_for_F[num_common:] = num_others / (len(few_F) - num_common)
            self._every = every.create_infer_request()

    def steps(self, logits_TF: NDArray[np.float32], features_TD: NDArray[np.float32]) -> ClassSteps:
        """Return the steps of one line; ``settle`` may change some. The arrays may be the network's own."""
        common_TF = logits_TF[:, : self._num_common]
        best_T = common_TF.argmax(1)
        highest_T = common_TF.max(1)
        sums_T = np.exp(logits_TF - highest_T[:, None]) @ self._stands_for_F
        space_T = common_TF[:, -1]  # the space is the last of the common classes, as of all
        found = ClassSteps(self._few_F[best_T], 1.0 / sums_T, np.exp(space_T - highest_T) / sums_T)
        if self._every is not None:
            probes_T = logits_TF[:, self._num_common :].max(1)
            doubtful_S = np.flatnonzero(2.0 * highest_T - probes_T < _CLEAR)
            self._doubtful.append((found, doubtful_S, features_TD[doubtful_S]))
        return found

    def settle(self) -> None:
        """Classify the steps that are in doubt in all lines since the last call."""
        waiting, self._doubtful = self._doubtful, []
        every = self._every
        if every is None or not (num := sum(len(steps_S) for _, steps_S, _ in waiting)):
            return
        features_SD = np.concatenate([features for _, _, features in waiting])
        answers = [_answer(every, features_SD[first : first + _ROWS]) for first in range(0, num, _ROWS)]
        classes_S, probabilities_S, spaces_S = (np.concatenate(one) for one in zip(*answers, strict=True))
        first = 0
        for found, steps_S, _ in waiting:
            rows = slice(first, first + len(steps_S))
            found.classes_T[steps_S] = classes_S[rows]
            found.probabilities_T[steps_S] = probabilities_S[rows]
            found.spaces_T[steps_S] = spaces_S[rows]
            first += len(steps_S)


def _answer(
    every: ov.InferRequest, features_SD: NDArray[np.float32]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return class, probability and that of a space of up to ``_ROWS`` steps, among all classes."""
    padded = np.zeros((_ROWS, features_SD.shape[1]), np.float32)
    padded[: len(features_SD)] = features_SD
    every.infer([padded], share_inputs=True)
    exact = steps_of(every.get_output_tensor(0).data[: len(features_SD)])
    return exact.classes_T, exact.probabilities_T, exact.spaces_T


def steps_of(probabilities_TC: NDArray[np.float32]) -> ClassSteps:
    """Return the steps from the probabilities of all classes."""
    classes_T = probabilities_TC.argmax(1)
    return ClassSteps(
        classes_T, probabilities_TC[np.arange(len(classes_T)), classes_T], probabilities_TC[:, -1].copy()
    )
