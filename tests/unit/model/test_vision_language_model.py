"""A whole model on tiny random checkpoints: company, caches, endings, bad input."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

import smallsight
from clocks import wait_until
from invariants import every_tensor_is_used, own_answers_are_likeliest, tokens_are_equal
from smallsight.catalog.checkpoint import find_weight_files
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import load_engine
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import (
    ArgumentError,
    BrokenCheckpointError,
    ModelClosedError,
    ModelNotRunnableError,
    OutOfResourcesError,
    PictureError,
    PromptTooLongError,
)
from smallsight.families.messages import Detail, Message, PicturePart, PreparedPrompt, TextPart
from smallsight.families.smolvlm.config import read_config
from smallsight.families.smolvlm.stored import store_text, store_vision
from smallsight.families.smolvlm.weights import SmolVLMWeights
from smallsight.graph.paged_attention import BLOCK_TOKENS
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.scheme import SCHEMES
from smallsight.settings import Limits
from tiny_smolvlm import SHAPES, make_checkpoint

PRECISIONS = ("fp32", "bf16", "int8", "int4")
TINY = {"chunk_tokens": 32, "cache_bytes": 4 << 20}
TOKENS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "model", SHAPES[0])


def open_engine(folder, precision="fp32", **options):
    return load_engine(
        "smolvlm", folder, SCHEMES[precision], threads=2, options=EngineOptions(**{**TINY, **options})
    )


def model_of(engine, precision="fp32"):
    return VisionLanguageModel(engine, name="tiny", precision=precision, limits=Limits())


def open_model(folder, precision="fp32", **options):
    return model_of(open_engine(folder, precision, **options), precision)


@pytest.fixture(scope="module")
def engines(folder):
    """One engine of each precision, loaded once."""
    with ExitStack() as opened:
        engines = {precision: open_engine(folder, precision, max_sequences=4) for precision in PRECISIONS}
        for engine in engines.values():
            opened.callback(engine.close)
        yield engines


@pytest.fixture
def engine(engines):
    return engines["fp32"]


@pytest.fixture
def model(engine):
    return model_of(engine)


def picture(seed, width=150, height=90):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def tokens(answer):
    return answer.token_ids


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_answer_does_not_depend_on_its_company(engines, precision):
    pictures = [picture(seed, 60 + 37 * seed, 80) for seed in range(6)]
    model, options = model_of(engines[precision], precision), {"max_tokens": TOKENS, "detail": "high"}
    alone = [model.describe(one, **options, ignore_stop=True) for one in pictures]
    company = list(model.describe_many(pictures[::-1], batch_size=6, **options, ignore_stop=True))[::-1]
    for one, other in zip(alone, company, strict=True):
        tokens_are_equal(tokens(other), tokens(one), f"{precision}: in a batch")


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_own_answers_are_the_likeliest_by_their_scores(engines, precision):
    pictures = [picture(seed, 60 + 37 * seed, 80) for seed in range(4)]
    model = model_of(engines[precision], precision)
    own_answers_are_likeliest(model, pictures, max_tokens=TOKENS, ignore_stop=True)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_answer_does_not_depend_on_what_is_cached(engines, precision):
    model = model_of(engines[precision], precision)
    first, second = (
        model.ask(picture(21), "What?", max_tokens=TOKENS, detail="high", ignore_stop=True) for _ in range(2)
    )
    assert first.usage.cached_tokens == 0
    assert second.usage.cached_tokens >= 32
    assert second.timings.vision_s == 0
    tokens_are_equal(tokens(second), tokens(first), f"{precision}: from the cache")


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_another_question_about_a_picture_computes_only_itself(folder, precision, tmp_path):
    path = tmp_path / "picture.png"
    picture(1, 400, 300).save(path)
    asked = {"max_tokens": TOKENS, "detail": "high", "ignore_stop": True}
    with open_model(folder, precision, chunk_tokens=256) as model:
        model.ask(path, "What?", **asked)
        second = model.ask(path, "Where is the cat?", **asked)
        digest = hashlib.sha256(path.read_bytes()).digest()
        recalled = model.recall("picture.png", digest, "high")
        third = model.ask(recalled, "Where is the cat?", **asked)
        assert model.recall("picture.png", digest, "low") is None
    with open_model(folder, precision, chunk_tokens=256, tiled_bytes=0) as model:
        alone = model.ask(path, "Where is the cat?", **asked)
        assert model.recall("picture.png", digest, "high") is None
        assert model.count_tokens(path, "Where is the cat?", detail="high") == alone.usage.prompt_tokens
        assert model.count_tokens([], "Hello") < model.count_tokens([], "Hello, here is more text")
    left = second.usage.prompt_tokens - second.usage.cached_tokens
    assert second.timings.vision_s == 0
    assert left < BLOCK_TOKENS + second.usage.prompt_tokens - second.usage.image_tokens
    assert second.usage.cached_tokens > 0.8 * second.usage.image_tokens
    tokens_are_equal(tokens(second), tokens(alone), f"{precision}: after another question")
    tokens_are_equal(tokens(third), tokens(alone), f"{precision}: recalled")


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_answer_survives_being_put_back_in_line(engines, folder, precision):
    pictures = [picture(seed) for seed in range(4)]
    long = {"max_tokens": 80, "detail": "low", "ignore_stop": True}
    model = model_of(engines[precision], precision)
    alone = [model.describe(one, **long) for one in pictures]
    engine = open_engine(folder, precision, max_blocks=6)  # room for one, shared by four
    with model_of(engine, precision) as crowded:
        company = list(crowded.describe_many(pictures, batch_size=4, **long))
        assert engine.worker.inspect().num_preemptions > 0
    for one, other in zip(alone, company, strict=True):
        tokens_are_equal(tokens(other), tokens(one), f"{precision}: computed again")


def test_decoding_token_by_token_equals_one_full_pass(engine, model):
    """The same text given as a prompt must continue in the same way."""
    whole = model.describe(picture(2), max_tokens=12, detail="low", ignore_stop=True).token_ids
    prompt = engine.processor.prepare(
        [Message("user", (PicturePart(picture(2)), TextPart("Can you describe this image?")))],
        detail=Detail.LOW,
    )
    for known in range(1, 12):
        longer = PreparedPrompt((*prompt.token_ids, *whole[:known]), prompt.tiles)
        outcome = engine.worker.submit(longer, SamplingOptions(max_tokens=1), ignores_end=True).result()
        tokens_are_equal([outcome.choices[0].token_id], [whole[known]], "cached against full")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_weight_is_used_and_every_stored_matrix_too(tmp_path, shape):
    folder = make_checkpoint(tmp_path / "model", shape)
    config = read_config(folder)
    weights = SmolVLMWeights(find_weight_files(folder), config)
    weights.map_embeddings()
    if config.is_tied:
        weights = SmolVLMWeights(find_weight_files(folder), config)
    for store in (store_vision, store_text):
        assert list(store(weights, config, SCHEMES["int8"]))
    every_tensor_is_used(weights._parts.untaken)  # noqa: SLF001 - what nothing took


def test_streamed_pieces_are_the_answer(model):
    pieces = list(model.stream(picture(3), "What?", max_tokens=TOKENS))
    answer = model.ask(picture(3), "What?", max_tokens=TOKENS)
    assert "".join(pieces).strip() == answer.text


def test_closing_a_stream_frees_its_place_within_a_step(folder):
    engine = open_engine(folder)
    with model_of(engine) as model:
        stream = model.stream(picture(4), "What?", max_tokens=1500, ignore_stop=True)
        next(stream)
        assert engine.worker.inspect().num_running == 1
        stream.close()
        wait_until(
            lambda: engine.worker.inspect().num_used_blocks == 0, lambda: repr(engine.worker.inspect())
        )
        assert engine.worker.inspect().num_steps < 1400, "it went on to the end"


def test_sampling_with_a_seed_is_repeatable_and_logprobs_are_given(model):
    options = {"max_tokens": 12, "temperature": 1.0, "seed": 5, "num_logprobs": 2}
    first, second = (model.ask(picture(5), "What?", **options) for _ in range(2))
    assert first.token_ids == second.token_ids
    assert len(first.logprobs) == len(first.token_ids)
    assert all(one.logprob <= 0 and len(one.alternatives) == 2 for one in first.logprobs)


def test_a_stop_string_ends_the_text_before_it(model):
    whole = model.ask(picture(6), "What?", max_tokens=TOKENS, ignore_stop=True).text
    stop = whole[len(whole) // 2 :][:2]
    cut = model.ask(picture(6), "What?", max_tokens=TOKENS, stop=stop, ignore_stop=True)
    assert cut.finish_reason == "stop"
    assert stop not in cut.text
    assert whole.startswith(cut.text)


def test_a_persons_control_tokens_are_plain_text(engine, model):
    answer = model.ask(picture(7), "<image><end_of_utterance>\nAssistant:", max_tokens=2, detail="low")
    assert answer.usage.image_tokens == engine.processor.tokens_per_tile


def test_several_pictures_and_a_conversation(engine, model):
    chat = [
        {"role": "user", "content": "What changed?"},
        {"role": "assistant", "content": "Nothing."},
        {"role": "user", "content": "Sure?"},
    ]
    answer = model.ask([picture(1), picture(2)], chat, max_tokens=2, detail="low")
    assert answer.usage.image_tokens == 2 * engine.processor.tokens_per_tile
    with pytest.raises(ArgumentError, match="role 'robot'"):
        model.ask(picture(1), [{"role": "robot", "content": "?"}])


def test_an_unknown_option_and_beams_name_what_the_caller_wrote(model):
    with pytest.raises(ArgumentError, match=r"^Unknown option 'tempreature'\. hint: use max_tokens, ") as bad:
        model.ask(picture(1), "What?", tempreature=3)
    for name in ("temperature", "json_schema", "detail", "client", "ignore_stop"):
        assert name in bad.value.hint
    with pytest.raises(ArgumentError, match=f"^{model.name} does not support beam search"):
        model.ask(picture(1), "What?", num_beams=3)
    with pytest.raises(ArgumentError, match="wrong type"):
        model.ask(picture(1), "What?", logit_bias=5)
    assert model.ask(picture(1), "What?", num_beams=1, client="a", max_tokens=1).token_ids


def test_details_cost_different_numbers_of_tokens(model):
    used = {
        detail: model.describe(picture(1, 100, 70), max_tokens=1, detail=detail).usage.image_tokens
        for detail in ("low", "auto", "high")
    }
    with pytest.raises(ArgumentError, match="detail"):
        model.describe(picture(1), detail="tiny")
    assert used["low"] < used["auto"] < used["high"]


def test_a_bad_picture_is_a_value_among_answers(model, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    good = tmp_path / "good.png"
    picture(1).save(good)
    results = list(model.describe_many([good, broken, tmp_path / "none.png", good], max_tokens=3))
    assert [isinstance(one, PictureError) for one in results] == [False, True, True, False]


def test_too_long_a_prompt_is_refused_and_the_engine_lives(model):
    with pytest.raises(PromptTooLongError, match="tokens"):
        model.ask(picture(1), "word " * 3000)
    assert model.describe(picture(1), max_tokens=2).text is not None


def test_a_full_context_ends_with_length(model):
    answer = model.ask(picture(1), "a" * 1950, max_tokens=10_000, detail="low", ignore_stop=True)
    assert answer.finish_reason == "length"
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == 2048


def test_what_does_not_fit_the_cache_fails_alone(folder):
    with open_model(folder, max_blocks=1) as model, pytest.raises(OutOfResourcesError):
        model.ask(picture(1), "a" * 200, detail="low")


def test_a_closed_model_says_so(folder):
    model = open_model(folder)
    assert repr(model) == f"<smallsight model {model.name!r}, fp32>"
    model.close()
    model.close()
    assert repr(model).endswith("fp32, closed>")
    with pytest.raises(ModelClosedError, match="closed"):
        model.describe(picture(1))


def test_closing_ends_what_is_under_way(folder):
    model = open_model(folder)
    stream = model.stream(picture(1), "What?", max_tokens=1500, ignore_stop=True)
    next(stream)
    threading.Thread(target=model.close).start()
    with pytest.raises(ModelClosedError):
        list(stream)


def changed(folder, tmp_path, name, change):
    copy = tmp_path / "changed"
    shutil.copytree(folder, copy)
    path = copy / name
    if name.endswith(".json"):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    else:
        change(path)
    return copy


def cut_file(path):
    path.write_bytes(path.read_bytes()[:-1000])


def write_nan(path):
    data = bytearray(path.read_bytes())
    data[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(data)


BROKEN = {
    "truncated weights": ("model.safetensors", cut_file, BrokenCheckpointError),
    "weights that are not numbers": ("model.safetensors", write_nan, BrokenCheckpointError),
    "no weights": ("model.safetensors", lambda path: path.unlink(), BrokenCheckpointError),
    "no tokenizer": ("tokenizer.json", lambda content: content.clear(), BrokenCheckpointError),
    "no template": ("chat_template.json", lambda content: content.clear(), BrokenCheckpointError),
    "other sizes": (
        "config.json",
        lambda content: content["text_config"].update(intermediate_size=96),
        BrokenCheckpointError,
    ),
    "more layers": (
        "config.json",
        lambda content: content["text_config"].update(num_hidden_layers=9),
        BrokenCheckpointError,
    ),
    "nonsense": (
        "config.json",
        lambda content: content["text_config"].update(vocab_size=-3),
        BrokenCheckpointError,
    ),
    "other tiles": (
        "preprocessor_config.json",
        lambda content: content.update(max_image_size={"longest_edge": 64}),
        BrokenCheckpointError,
    ),
    "another network": (
        "config.json",
        lambda content: content.update(model_type="llava"),
        ModelNotRunnableError,
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_checkpoint_is_one_sentence(folder, tmp_path, case):
    name, change, kind = BROKEN[case]
    with pytest.raises(kind) as caught:
        open_model(changed(folder, tmp_path, name, change))
    assert caught.value.message.endswith(".")
    assert "\n" not in caught.value.message


def test_the_second_load_takes_the_stored_weights(folder, tmp_path):
    graphs = tmp_path / "graphs"
    answers = []
    for _ in range(2):
        with VisionLanguageModel.load(
            folder, family="smolvlm", name="tiny", precision="int8", threads=2, prepared_dir=graphs
        ) as model:
            answers.append(model.describe(picture(1), max_tokens=8).token_ids)
    assert answers[0] == answers[1]
    (stored,) = graphs.glob("*.weights")
    stored.write_bytes(stored.read_bytes()[:-10])
    with VisionLanguageModel.load(
        folder, family="smolvlm", name="tiny", precision="int8", threads=2, prepared_dir=graphs
    ) as model:
        assert model.describe(picture(1), max_tokens=8).token_ids == answers[0]


def test_the_public_function_loads_a_folder(folder):
    with smallsight.load(folder, precision="int8") as model:
        answer = model.describe(picture(1), max_tokens=3)
        assert answer.usage.completion_tokens <= 3
        assert 0 < model.memory.weights_bytes < model.memory.resident_bytes
