"""RapidOCR on OpenVINO, configured for pictures of every size; runs in the reading child process.

Decides the size at which text is detected and the padding of network inputs. OpenVINO prepares its kernels
for every new input shape, which takes time and memory that is never freed; therefore inputs are padded to a
few shapes (measurements in docs/lab-log.md).
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from rapidocr import EngineType, RapidOCR
from rapidocr.utils.output import RapidOCROutput

from smallsight.reading.text_line import TextLine

_DETECTION_PIXELS = 736 * 736
# No letter is smaller, and on some processors reading a long line one pixel high crashes in native code.
_SMALLEST_SIDE_PX = 4
_PADDING_STEP_PX = 160
_MIN_CONFIDENCE = 0.5


class OcrModel:
    """Detects and reads lines of text. Loading takes one to two seconds; not thread-safe."""

    def __init__(self, threads: int) -> None:
        openvino = EngineType.OPENVINO
        self._ocr = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.text_score": _MIN_CONFIDENCE,
                "Global.max_side_len": 10_000,  # images are already resized
                "Det.engine_type": openvino,
                "Cls.engine_type": openvino,
                "Rec.engine_type": openvino,
                "Det.limit_type": "max",
                # One line at a time, no wider than necessary: a batch is as wide as its widest line, is no
                # faster on a CPU, and would make a line's result depend on the others.
                "Rec.rec_batch_num": 1,
                "Rec.rec_img_shape": [3, 48, _PADDING_STEP_PX],
                "EngineConfig.openvino.inference_num_threads": threads or -1,
            }
        )
        # RapidOCR loads its networks on first use and has no public hook for their inputs; its private
        # loaders create them here, and each session is wrapped to add the padding.
        detector: Any = self._ocr._load_det_model()  # type: ignore[no-untyped-call]  # noqa: SLF001
        recogniser: Any = self._ocr._load_rec_model()  # type: ignore[no-untyped-call]  # noqa: SLF001
        detector.session = _PaddedSession(detector.session, pads_height=True, crops_result=True)
        recogniser.session = _PaddedSession(recogniser.session, pads_height=False, crops_result=False)
        self._detector = detector

    def read(self, image_HWC: np.ndarray) -> list[TextLine]:
        """Return the lines of a uint8 RGB image, from top to bottom and left to right."""
        height_px, width_px = image_HWC.shape[:2]
        if min(height_px, width_px) < _SMALLEST_SIDE_PX:
            return []
        self._detector.limit_side_len = detection_side_px(width_px, height_px)
        found = self._ocr(np.ascontiguousarray(image_HWC[:, :, ::-1]))  # RapidOCR expects BGR
        if not isinstance(found, RapidOCROutput) or found.txts is None or found.boxes is None:
            return []
        sides_px = np.array([width_px, height_px])
        return [
            TextLine(text.strip(), float(score), _corners(np.asarray(box_42) / sides_px))
            for text, score, box_42 in zip(found.txts, found.scores or (), found.boxes, strict=True)
            if text.strip()
        ]


def detection_side_px(width_px: int, height_px: int) -> int:
    """Return the longest side for text detection, which keeps the number of pixels constant for any shape.

    A limit on the longest side alone would shrink tall screenshots until their text is illegible.
    """
    shrink = math.sqrt(min(1.0, _DETECTION_PIXELS / (width_px * height_px)))
    side_px = int(max(width_px, height_px) * shrink)
    # Rounded down to a padded size, so that the longer side needs no padding.
    return side_px if side_px < 3 * _PADDING_STEP_PX else side_px // _PADDING_STEP_PX * _PADDING_STEP_PX


class _Session(Protocol):
    def __call__(self, input_content: np.ndarray) -> Any: ...  # noqa: ANN401


class _PaddedSession:
    """Pads [N, C, H, W] inputs to a few shapes with zeros, which are mid-grey after normalisation."""

    def __init__(self, session: _Session, *, pads_height: bool, crops_result: bool) -> None:
        self._session = session
        self._pads_height = pads_height
        self._crops_result = crops_result

    def __call__(self, input_NCHW: np.ndarray) -> np.ndarray:
        num, channels, height_px, width_px = input_NCHW.shape
        padded_height_px = _rounded_up(height_px) if self._pads_height else height_px
        padded_NCHW = np.zeros((num, channels, padded_height_px, _rounded_up(width_px)), np.float32)
        padded_NCHW[:, :, :height_px, :width_px] = input_NCHW
        result = np.asarray(self._session(padded_NCHW))
        return result[:, :, :height_px, :width_px] if self._crops_result else result


def _rounded_up(length_px: int) -> int:
    return -(-length_px // _PADDING_STEP_PX) * _PADDING_STEP_PX


def _corners(box_42: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in np.clip(box_42, 0.0, 1.0))
