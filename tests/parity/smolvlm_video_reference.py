"""transformers' own answers about videos: a program, because what it needs breaks other users of torch.

``python smolvlm_video_reference.py JOBS RESULTS``: jobs are JSON, a list for each model's folder, results one
``.npz``. A job holds an answer, and its result the likeliest token at each of the answer's places: they are
equal where the answer is the greedy one, and one pass over it finds out. torchvision lies in a folder of its
own in the environment, where the Makefile puts it, and is told that its native part is there.
"""

from __future__ import annotations

import functools
import json
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(sys.prefix) / "torchvision"))
warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402

OPERATORS = ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")
LIBRARY = torch.library.Library("torchvision", "DEF")
for operator in OPERATORS:
    LIBRARY.define(f"{operator}(Tensor a) -> Tensor")
    if operator not in ("nms", "qnms"):
        LIBRARY.define(f"_{operator}_backward(Tensor a) -> Tensor")

import av  # noqa: E402
from num2words import num2words  # noqa: E402
from PIL import Image, ImageSequence  # noqa: E402
from transformers import PreTrainedTokenizerFast, SmolVLMForConditionalGeneration  # noqa: E402
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil  # noqa: E402
from transformers.models.smolvlm.processing_smolvlm import SmolVLMProcessor  # noqa: E402
from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor  # noqa: E402
from transformers.video_utils import VideoMetadata, read_video_pyav  # noqa: E402

from tiny_smolvlm import CHAT_TEMPLATE  # noqa: E402


def load(folder: Path):
    shape = json.loads((folder / "config.json").read_text())
    vision = shape["vision_config"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), eos_token="<end_of_utterance>"
    )
    processor = SmolVLMProcessor(
        image_processor=SmolVLMImageProcessorPil.from_pretrained(folder),
        tokenizer=tokenizer,
        video_processor=SmolVLMVideoProcessor.from_pretrained(folder),
        image_seq_len=(vision["image_size"] // vision["patch_size"] // shape["scale_factor"]) ** 2,
        chat_template=CHAT_TEMPLATE,
    )
    model = SmolVLMForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    return processor, model


@functools.cache
def frames_and_facts(path: Path, processor):
    """Read as the reference does where its reader can; files without a count of frames it cannot read."""
    sample = functools.partial(
        processor.video_processor.sample_frames,
        num_frames=processor.video_processor.num_frames,
        fps=processor.video_processor.fps,
    )
    if path.suffix in (".mp4", ".avi", ".mov"):
        return read_video_pyav(str(path), sample)
    if path.suffix in (".gif", ".webp"):
        opened = Image.open(path)
        frames, total_ms = [], 0
        for frame in ImageSequence.Iterator(opened):
            frames.append(np.asarray(frame.convert("RGB")))
            total_ms += frame.info["duration"]
        fps = len(frames) / (total_ms / 1000)
        duration_s = total_ms / 1000
    else:
        with av.open(str(path)) as opened:
            frames = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
            rate = opened.streams.video[0].average_rate
        fps, duration_s = float(rate), float(len(frames) / rate)
    facts = VideoMetadata(total_num_frames=len(frames), fps=fps, duration=duration_s)
    facts.frames_indices = sample(metadata=facts)
    return np.stack(frames)[facts.frames_indices], facts


@torch.no_grad()
def answer(processor, model, job):
    video, facts = frames_and_facts(Path(job["video"]), processor)
    text = processor.apply_chat_template(job["messages"], add_generation_prompt=True)
    inputs = processor(
        text=text, videos=[video], video_metadata=[facts], do_sample_frames=False, return_tensors="pt"
    )
    said = torch.tensor([job["said"]])
    asked = model(**inputs, use_cache=True, logits_to_keep=1)
    # Apart from the prompt: a random model also says "<image>".
    along = model(input_ids=said, past_key_values=asked.past_key_values)
    logits = torch.cat([asked.logits, along.logits[:, :-1]], dim=1)
    return {
        "input_ids": inputs["input_ids"][0].numpy(),
        "pixel_values": inputs["pixel_values"][0].numpy(),
        "likeliest": logits[0].argmax(-1).numpy(),
    }


def main(jobs: str, results: str) -> None:
    torch.set_num_threads(1)
    found = {"number_words": np.array([num2words(number) for number in range(1000)])}
    for folder, asked in json.loads(Path(jobs).read_text()).items():
        processor, model = load(Path(folder))
        for index, job in enumerate(asked):
            for name, value in answer(processor, model, job).items():
                found[f"{Path(folder).name} {index} {name}"] = value
    np.savez(results, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
