"""SmolVLM against transformers on tiny random checkpoints: inputs, greedy tokens and scores equal in fp32."""

from __future__ import annotations

import functools
from contextlib import closing

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoConfig,
    Idefics3ForConditionalGeneration,
    PreTrainedTokenizerFast,
    SmolVLMForConditionalGeneration,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.idefics3.processing_idefics3 import Idefics3Processor
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from smallsight.engine.loading import load_engine
from smallsight.engine.native.tile_encoder import encoder_obstacle
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.messages import Detail, Message, PicturePart, TextPart
from smallsight.families.smolvlm.processor import SmolVLMProcessor
from smallsight.graph.compiled import computes_in_bf16
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.grouped import dequantize_groups
from smallsight.quant.scheme import SCHEMES, Module
from tiny_smolvlm import CHAT_TEMPLATE, SHAPES, make_checkpoint

MAX_TOKENS = 10
MODELS = {"idefics3": Idefics3ForConditionalGeneration, "smolvlm": SmolVLMForConditionalGeneration}
PROCESSORS = {"idefics3": Idefics3ImageProcessorPil, "smolvlm": SmolVLMImageProcessorPil}


def noise(width, height, mode="RGB", seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values).convert(mode)


def half_transparent():
    image = noise(70, 90, "RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def palette_with_hole():
    image = noise(90, 60).quantize(16)
    image.info["transparency"] = 3
    return image


PICTURES = {
    "point": noise(1, 1),
    "line": noise(20_000, 1),
    "column": noise(1, 20_000),
    "wide": noise(301, 97),
    "tall": noise(64, 211),
    "square": noise(128, 128),
    "large": noise(900, 700),
    "grey": noise(75, 50, "L"),
    "palette": noise(120, 80).quantize(32),
    "palette with a hole": palette_with_hole(),
    "transparent": half_transparent(),
    "grey and alpha": noise(33, 44, "LA"),
    "cmyk": noise(50, 60, "CMYK"),
    "one bit": noise(40, 40, "1"),
}
QUESTIONS = ("Can you describe this image?", "¿Qué dice?\n\n  Two  spaces, 猫 and 🦙.")
LONG_CHAT = [
    ("user", 1, "What is this?"),
    *[
        (role, 0, text)
        for _ in range(6)
        for role, text in (("assistant", "A thing, I think."), ("user", "And now?"))
    ],
]
CONVERSATIONS = {
    **{
        f"{name}, question {number}": (((("user", 1, question)),), (name,))
        for name in PICTURES
        for number, question in enumerate(QUESTIONS)
    },
    "no picture": ([("user", 0, "Hello there.")], ()),
    "two pictures": ([("user", 2, "Compare.")], ("wide", "cmyk")),
    "three pictures": ([("user", 3, "Compare.")], ("tall", "point", "grey")),
    "long chat": (LONG_CHAT, ("square",)),
    "system": ([("system", 0, "Be brief."), ("user", 1, "What?")], ("wide",)),
    "two turns with pictures": (
        [("user", 1, "First?"), ("assistant", 0, "Yes."), ("user", 1, "Second?")],
        ("palette", "tall"),
    ),
}


class Reference:
    """transformers' processor and model over the same folder."""

    def __init__(self, directory, shape):
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(directory / "tokenizer.json"), eos_token="<end_of_utterance>"
        )
        config = AutoConfig.from_pretrained(directory)
        self.processor = Idefics3Processor(
            image_processor=PROCESSORS[shape.model_type].from_pretrained(directory),
            tokenizer=tokenizer,
            image_seq_len=(shape.patches // shape.scale_factor) ** 2,
            chat_template=CHAT_TEMPLATE,
        )
        self.model = (
            MODELS[shape.model_type].from_pretrained(directory, config=config, dtype=torch.float32).eval()
        )

    def inputs(self, turns, pictures):
        chat = [
            {"role": role, "content": [{"type": "image"}] * count + [{"type": "text", "text": text}]}
            for role, count, text in turns
        ]
        text = self.processor.apply_chat_template(chat, add_generation_prompt=True)
        images = {"images": [pictures]} if pictures else {}
        return self.processor(text=text, return_tensors="pt", **images)

    @torch.no_grad()
    def agrees(self, inputs, said):
        """Whether an answer ends where it must, and has the likeliest token at each place: is the greedy one.

        No token sees those after it, so one pass over the answer is enough.
        """
        end = self.processor.tokenizer.eos_token_id
        ends = [index for index, token in enumerate(said) if token == end]
        if ends != [len(said) - 1] if ends else len(said) != MAX_TOKENS:
            return False
        return self.distributions(inputs, said).argmax(-1).tolist() == said

    @torch.no_grad()
    def distributions(self, inputs, said):
        """The logarithms of the probabilities before each token of an answer, [tokens, vocabulary].

        The pass over the answer is apart from the one over the prompt, since a random model also says
        "<image>".
        """
        asked = self.model(**inputs, use_cache=True, logits_to_keep=1)
        along = self.model(input_ids=torch.tensor([said]), past_key_values=asked.past_key_values)
        logits = torch.cat([asked.logits, along.logits[:, :-1]], dim=1)
        return logits[0].double().log_softmax(-1)


@functools.cache
def checkpoint(name, root):
    shape = next(shape for shape in SHAPES if shape.name == name)
    directory = make_checkpoint(root / name, shape)
    return directory, Reference(directory, shape)


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("smolvlm")


def open_model(directory, precision):
    return VisionLanguageModel.load(directory, family="smolvlm", name="tiny", precision=precision, threads=1)


def messages_of(turns, pictures):
    waiting = list(pictures)
    return [
        Message(role, (*(PicturePart(waiting.pop(0)) for _ in range(count)), TextPart(text)))
        for role, count, text in turns
    ]


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_inputs_and_greedy_tokens_are_the_references(shape, root):
    directory, reference = checkpoint(shape.name, root)
    processor = SmolVLMProcessor.load(directory)
    different = []
    with closing(load_engine("smolvlm", directory, SCHEMES["fp32"], threads=1)) as engine:
        for name, (turns, picture_names) in CONVERSATIONS.items():
            pictures = [PICTURES[picture] for picture in picture_names]
            expected = reference.inputs(turns, pictures)
            prompt = processor.prepare(messages_of(turns, pictures), detail=Detail.HIGH)
            assert list(prompt.token_ids) == expected["input_ids"][0].tolist(), name
            if pictures:
                ours = np.concatenate([processor.normalise(tile.pixels_HWC) for tile in prompt.tiles])
                np.testing.assert_array_equal(ours, expected["pixel_values"][0].numpy(), err_msg=name)
            outcome = engine.worker.submit(prompt, SamplingOptions(max_tokens=MAX_TOKENS)).result()
            if not reference.agrees(expected, [choice.token_id for choice in outcome.choices]):
                different.append(name)
    assert different == []


def rounded_as(model, scheme):
    """Round every linear layer of the reference as a scheme does."""
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            module = Module.HEAD if name.endswith("lm_head") else Module.TEXT
            layer.weight.data = torch.from_numpy(
                dequantize_groups(scheme.store(layer.weight.numpy(), module))
            )
    return model


def divergence(base, variant):
    """The mean Kullback-Leibler divergence of two answers' distributions, given as logarithms."""
    return float((np.exp(base) * (base - variant)).sum(axis=-1).mean())


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[1], SHAPES[3]], ids=lambda shape: shape.name)
def test_scores_are_the_references_over_the_whole_vocabulary(shape, root):
    directory, reference = checkpoint(shape.name, root)
    with open_model(directory, "fp32") as model:
        for picture, question in zip(("wide", "large", "grey"), (None, *QUESTIONS), strict=True):
            shown = PICTURES[picture]
            inputs = reference.inputs([("user", 1, question or QUESTIONS[0])], [shown])
            own = model.ask(shown, question or QUESTIONS[0], max_tokens=MAX_TOKENS, detail="high").token_ids
            for answer in (own, "A cat sits <image>."):
                scores = model.score(shown, question, answer, detail="high")
                expected = reference.distributions(inputs, list(scores.token_ids)).numpy()
                np.testing.assert_allclose(scores.log_distributions, expected, atol=1e-3)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("arithmetic", ["f32", "usual"])
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_the_divergence_of_a_variant_is_the_references(precision, arithmetic, root):
    """transformers computes it from the same folder, its weights rounded in the same way."""
    directory, reference = checkpoint(SHAPES[0].name, root)
    rounded = Reference(directory, SHAPES[0])
    with torch.no_grad():
        rounded_as(rounded.model, SCHEMES[precision])
    scheme = f"{precision}; arithmetic=f32" if arithmetic == "f32" else precision
    own, expected = [], []
    with open_model(directory, "fp32") as base, open_model(directory, scheme) as variant:
        for shown in (PICTURES[name] for name in ("square", "wide", "transparent", "grey")):
            answer = base.ask(shown, QUESTIONS[1], max_tokens=MAX_TOKENS, detail="high").token_ids
            scores = [model.score(shown, QUESTIONS[1], answer, detail="high") for model in (base, variant)]
            own.append(divergence(*(one.log_distributions.astype(np.float64) for one in scores)))
            inputs = reference.inputs([("user", 1, QUESTIONS[1])], [shown])
            given = (one.distributions(inputs, list(answer)).numpy() for one in (reference, rounded))
            expected.append(divergence(*given))
    assert min(expected) > 1e-4
    # What quantised weights are multiplied by is bfloat16, of 8 bits, where there are instructions for it, or
    # whole numbers of 8 bits in the extension's encoder, which needs none of those (a Xeon with AVX-512 VNNI
    # and no bfloat16): one picture's divergence moves by a few per cent.
    rounds_inputs = arithmetic == "usual" and (computes_in_bf16() or not encoder_obstacle())
    within = {"abs": 1e-3, "rel": 0.03} if rounds_inputs else {"rel": 1e-3}
    print(f"{scheme}: {own}, with transformers {expected} nats")
    assert np.mean(own) == pytest.approx(np.mean(expected), **within)


def test_enough_combinations_are_compared():
    assert len(SHAPES) * len(CONVERSATIONS) >= 200
