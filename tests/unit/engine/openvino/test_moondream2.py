"""moondream2 through ``smallsight.load``: company, caches, lengths, places, precisions, and what it
refuses.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

import smallsight
from invariants import every_tensor_is_used, own_answers_are_likeliest, tokens_are_equal
from smallsight.catalog.checkpoint import find_weight_files
from smallsight.engine.decoding.runner import StepOutput
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import load_engine
from smallsight.engine.openvino.moondream2 import _require_prefixes
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import (
    ArgumentError,
    BrokenCheckpointError,
    ModelClosedError,
    ModelNotRunnableError,
    PictureError,
    PromptTooLongError,
)
from smallsight.families.messages import Detail, PreparedPrompt
from smallsight.families.moondream2.config import read_config
from smallsight.families.moondream2.stored import adapted, store_text, store_vision
from smallsight.families.moondream2.weights import Moondream2Weights
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.bf16 import BF16Matrix
from smallsight.quant.grouped import GroupedMatrix
from smallsight.quant.scheme import SCHEMES
from smallsight.settings import Limits, Settings
from tiny_moondream2 import SHAPES, change_tensors, write_tiny_moondream2
from tiny_smolvlm import SHAPES as SMOLVLM_SHAPES
from tiny_smolvlm import make_checkpoint

PRECISIONS = ("fp32", "bf16", "int8", "int4")
PREFIX = 82  # of the first shape: 9 x 9 patches and the begin token
TOKENS = 20


def picture(seed, width=150, height=90):
    random = np.random.default_rng(seed)
    patches = random.integers(0, 200, (4, 4, 3), np.uint8)
    large = patches[np.arange(height)[:, None] * 4 // height, np.arange(width)[None] * 4 // width]
    return Image.fromarray(large + random.integers(0, 56, large.shape, np.uint8))


PICTURES = [picture(seed, 60 + 37 * seed, 80) for seed in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_moondream2(tmp_path_factory.mktemp("moondream2") / "tiny", SHAPES[0])


def open_engine(folder, precision="fp32", **options):
    chosen = EngineOptions(**{"cache_bytes": 4 << 20, **options})
    return load_engine("moondream2", folder, SCHEMES[precision], threads=2, options=chosen)


def model_of(engine, precision="fp32"):
    return VisionLanguageModel(engine, name="tiny", precision=precision, limits=Limits())


def open_model(folder, precision="fp32", **options):
    return model_of(open_engine(folder, precision, **options), precision)


@pytest.fixture(scope="module")
def engines(folder):
    """One engine of each precision, loaded once."""
    with ExitStack() as opened:
        engines = {precision: open_engine(folder, precision) for precision in PRECISIONS}
        for engine in engines.values():
            opened.callback(engine.close)
        yield engines


@pytest.fixture(params=PRECISIONS)
def model(request, engines):
    return model_of(engines[request.param], request.param)


@pytest.fixture
def engine(engines):
    return engines["fp32"]


@pytest.fixture
def exact(engine):
    return model_of(engine)


def test_own_answers_are_the_likeliest_by_their_scores(model):
    own_answers_are_likeliest(model, PICTURES[:4], max_tokens=TOKENS, ignore_stop=True)


def test_an_answer_does_not_depend_on_its_company(model):
    asked = {"max_tokens": TOKENS, "detail": "high", "ignore_stop": True}
    alone = [model.describe(one, **asked) for one in PICTURES]
    company = list(model.describe_many(PICTURES[::-1], batch_size=6, **asked))[::-1]
    for one, other in zip(alone, company, strict=True):
        tokens_are_equal(other.token_ids, one.token_ids, f"{model.precision}: in a batch")
    assert len({one.token_ids for one in alone}) > 3


def test_an_answer_does_not_depend_on_what_is_cached(model, folder):
    image, precision = picture(21), model.precision
    first, second = (model.ask(image, "What?", max_tokens=TOKENS) for _ in range(2))
    other = model.ask(image, "And how many of them are there?", max_tokens=TOKENS)
    with open_model(folder, precision) as another:
        fresh = another.ask(image, "And how many of them are there?", max_tokens=TOKENS)
    assert first.usage.cached_tokens == fresh.usage.cached_tokens == 0
    assert second.usage.cached_tokens == other.usage.cached_tokens == PREFIX
    assert second.timings.vision_s == 0
    tokens_are_equal(second.token_ids, first.token_ids, f"{precision}: from the cache")
    tokens_are_equal(other.token_ids, fresh.token_ids, f"{precision}: the prefix from the cache")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_answer_survives_being_put_back_in_line(engines, folder, precision):
    long, places = {"max_tokens": 60, "detail": "low", "ignore_stop": True}, {"max_places": 15}
    model = model_of(engines[precision], precision)
    alone = [model.describe(one, **long) for one in PICTURES[:4]]
    boxes = [model.detect(one, "cat", **places).token_ids for one in PICTURES[4:]]
    engine = open_engine(folder, precision, max_blocks=7)  # room for one, shared by six
    with model_of(engine, precision) as crowded:
        found = [None, None]

        def detect(number):
            found[number] = crowded.detect(PICTURES[4 + number], "cat", **places).token_ids

        threads = [threading.Thread(target=detect, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        company = list(crowded.describe_many(PICTURES[:4], batch_size=4, **long))
        for thread in threads:
            thread.join()
        assert engine.worker.inspect().num_preemptions > 0
    for one, other in zip(alone, company, strict=True):
        tokens_are_equal(other.token_ids, one.token_ids, f"{precision}: computed again")
    assert found == boxes


def test_decoding_token_by_token_equals_one_full_pass(engine):
    """The same text given as a prompt must continue in the same way."""
    whole = (
        model_of(engine).ask(picture(2), "What?", max_tokens=12, detail="high", ignore_stop=True).token_ids
    )
    prompt = engine.processor.prepare(picture(2), "What?", "query", Detail.HIGH)
    for known in range(1, 12):
        longer = PreparedPrompt((*prompt.token_ids, *whole[:known]), prompt.tiles, prompt.prefix_tokens)
        outcome = engine.worker.submit(longer, SamplingOptions(max_tokens=1), ignores_end=True).result()
        tokens_are_equal([outcome.choices[0].token_id], [whole[known]], "cached against full")


def test_places_do_not_depend_on_company_or_cache(model):
    alone = [model.detect(one, "cat", max_places=5).data for one in PICTURES]
    found = {}

    def detect(number):
        found[number] = model.detect(PICTURES[number], "cat", max_places=5).data

    threads = [threading.Thread(target=detect, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    captions = list(model.describe_many(PICTURES, max_tokens=12))
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(6)] == alone
    assert all(one.token_ids for one in captions)
    assert len({str(one["bboxes"]) for one in alone}) > 1


def test_two_lengths_and_words_of_ones_own(exact):
    answers = {
        length: exact.describe(picture(3), length=length, max_tokens=9) for length in ("short", "normal")
    }
    asked = exact.describe(picture(3), prompt="What is it?", max_tokens=9)
    assert exact.describe(picture(3), max_tokens=9).token_ids == answers["short"].token_ids
    assert exact.ask(picture(3), " Normal Caption ", max_tokens=9).token_ids == answers["normal"].token_ids
    assert len({one.token_ids for one in (*answers.values(), asked)}) == 3
    assert "".join(exact.stream(picture(3), length="normal", max_tokens=9)).strip() == answers["normal"].text
    many = list(exact.describe_many([picture(3)], length="normal", max_tokens=9))
    assert many[0].token_ids == answers["normal"].token_ids


def test_no_more_pictures_are_taken_than_the_cache_holds(folder):
    taken = []

    def some():
        for number in range(9):
            taken.append(number)
            yield picture(number)

    engine = open_engine(folder, cache_bytes=0)
    with model_of(engine) as model:
        assert engine.max_at_once == 2
        answers = model.describe_many(some(), max_tokens=3)
        next(answers)
        assert taken == [0, 1, 2]
        assert len(list(answers)) == 8


def test_every_picture_is_as_many_tokens(exact):
    for detail in ("low", "auto", "high"):
        usage = exact.describe(picture(4, 400, 300), detail=detail, max_tokens=1).usage
        assert usage.image_tokens == PREFIX - 1


def test_places_are_in_pixels_and_in_words(exact):
    image = picture(5, 300, 200)
    boxes = exact.detect(image, " car ", max_places=2)
    points = exact.point(image, "car", max_places=2)
    assert boxes.data["labels"] == points.data["labels"] == ["car", "car"]
    assert boxes.data["task"] == "detect"
    for left, top, right, bottom in boxes.data["bboxes"]:
        assert 0 <= left <= right <= 300
        assert 0 <= top <= bottom <= 200
    assert all(0 <= x <= 300 and 0 <= y <= 200 for x, y in points.data["points"])
    assert points.text.splitlines()[0] == "car: {:.0f}, {:.0f}".format(*points.data["points"][0])
    assert (boxes.finish_reason, len(boxes.token_ids), len(points.token_ids)) == ("length", 6, 4)


def test_weights_take_less_the_fewer_their_bits(engines):
    sizes = [model_of(engines[precision], precision).memory.weights_bytes for precision in PRECISIONS]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


@pytest.mark.parametrize(("precision", "bits"), [("int8", (8, 8)), ("int4", (8, 4))])
def test_linear_layers_are_really_integers(folder, precision, bits):
    config, files = read_config(folder), find_weight_files(folder)
    weights, scheme = Moondream2Weights(files, config.sizes()), adapted(SCHEMES[precision])
    stored = dict(store_vision(weights, config, scheme)) | dict(store_text(weights, config, scheme))
    layers = {name: matrix for name, matrix in stored.items() if ".layers." in name and _is_matrix(name)}
    assert len(layers) == 4 * (config.vision.layers + config.text.layers)
    for name, matrix in layers.items():
        assert isinstance(matrix, GroupedMatrix), name
        assert matrix.code.bits == bits[name.startswith("text")], name
    assert stored["head.weight"].code.bits == 8
    widths = {stored[f"vision.layers.0.ffn_{way}.weight"].shape for way in ("up", "down")}
    assert widths == {(128, 48), (48, 128)}  # 72 widened to whole groups
    assert isinstance(stored["region.size_decoder_up.weight"], BF16Matrix)


def _is_matrix(name):
    return name.endswith("weight") and "norm" not in name


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_tensor_of_a_checkpoint_is_used(shape, tmp_path):
    folder = write_tiny_moondream2(tmp_path / "model", shape)
    config = read_config(folder)
    weights = Moondream2Weights(find_weight_files(folder), config.sizes())
    scheme = adapted(SCHEMES["fp32"])
    dict(store_vision(weights, config, scheme))
    dict(store_text(weights, config, scheme))
    weights.map_embeddings()
    every_tensor_is_used(weights.untaken)


def test_an_answer_from_remembered_weights_is_the_same(folder, tmp_path):
    settings = Settings(home=tmp_path / "home")
    answers = []
    for _ in range(2):
        with smallsight.load(folder, precision="int8", settings=settings) as loaded:
            answers.append(loaded.describe(picture(1), max_tokens=8).token_ids)
    assert answers[0] == answers[1]
    assert len(list(settings.prepared_dir.glob("*.weights"))) == 1


def test_a_stream_is_the_answer_in_pieces(exact):
    pieces = list(exact.stream(picture(1), "What?", max_tokens=24, ignore_stop=True))
    whole = exact.ask(picture(1), "What?", max_tokens=24, ignore_stop=True)
    assert "".join(pieces).strip() == whole.text
    assert len(pieces) > 3


def test_sampling_stop_strings_and_logprobs_are_followed(exact):
    warm = {"max_tokens": 12, "temperature": 1.5, "ignore_stop": True}
    first, second = (exact.describe(picture(1), seed=3, **warm).token_ids for _ in range(2))
    assert first == second
    assert exact.describe(picture(1), seed=4, **warm).token_ids != first
    assert len(exact.describe(picture(1), max_tokens=3, num_logprobs=2).logprobs[0].alternatives) == 2


def test_the_last_question_of_a_conversation_is_what_is_asked(exact):
    turns = [
        {"role": "user", "content": "What is this?"},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "How old?"},
    ]
    alone = exact.ask(picture(1), "How old?", max_tokens=8)
    assert exact.ask(picture(1), turns, max_tokens=8).token_ids == alone.token_ids


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda m: m.ask([picture(1), picture(2)], "Both?"), "exactly one picture, not 2"),
        (lambda m: m.describe(picture(1), num_beams=3), "does not support beam search"),
        (lambda m: m.describe(picture(1), length="long"), "no length 'long'.*short or normal"),
        (lambda m: m.describe(picture(1), prompt="Hm?", length="short"), "cannot be combined with a prompt"),
        (lambda m: m.detect(picture(1), "  "), "No object given to detect"),
        (lambda m: m.point(picture(1), "cat", max_places=0), "max_places cannot be 0"),
        (lambda m: m.detect(picture(1), "cat", detail="huge"), "detail cannot be 'huge'"),
    ],
)
def test_what_it_cannot_do_is_a_sentence(exact, ask, words):
    with pytest.raises(ArgumentError, match=words):
        ask(exact)


def test_models_that_find_no_places_say_so(tmp_path):
    folder = make_checkpoint(tmp_path / "model", SMOLVLM_SHAPES[0])
    with VisionLanguageModel.load(
        folder, family="smolvlm", name="other", precision="fp32", threads=1
    ) as model:
        for find in (model.detect, model.point):
            with pytest.raises(ArgumentError, match=r"other does not support detection by name.*moondream2"):
                find(picture(1), "cat")
        with pytest.raises(ArgumentError, match="other does not support description lengths"):
            model.describe(picture(1), length="short")


def test_a_prompt_that_is_too_long_is_refused_and_the_model_goes_on(exact):
    with pytest.raises(PromptTooLongError, match="limit 511"):
        exact.ask(picture(1), "cat " * 500)
    assert exact.describe(picture(1), max_tokens=3).token_ids


def test_one_that_cannot_be_read_does_not_end_the_others(exact, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    first, second, third = exact.describe_many(
        [picture(1), tmp_path / "broken.png", picture(2)], max_tokens=4
    )
    assert isinstance(second, PictureError)
    assert first.token_ids
    assert third.token_ids


def test_tokens_are_counted_without_an_answer(exact):
    used = exact.ask(picture(1), "Where is it?", max_tokens=1).usage.prompt_tokens
    assert exact.count_tokens(picture(1), "Where is it?") == used


def test_an_answer_ends_where_the_context_does(exact):
    answer = exact.ask(picture(1), "cat " * 150, max_tokens=400, ignore_stop=True)
    assert answer.finish_reason == "length"
    assert answer.usage.prompt_tokens + len(answer.token_ids) == 512


def test_closing_ends_what_is_under_way(folder):
    model = open_model(folder)
    stream = model.stream(picture(1), "What?", max_tokens=400, ignore_stop=True)
    next(stream)
    model.close()
    with pytest.raises(ModelClosedError):
        list(stream)
    with pytest.raises(ModelClosedError):
        model.detect(picture(1), "cat")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.text.post_ln.bias": None}, "lack 1 tensors, such as model.text.post_ln.bias"),
        ({"model.text.strange": np.zeros(1, np.float32)}, "unexpectedly.*model.text.strange"),
        (
            {"model.region.size_features": np.zeros((1, 32), np.float32)},
            r"shape \[1, 32\], expected \[2, 32\]",
        ),
    ],
)
def test_weights_of_another_network_are_named(tmp_path, changes, words):
    folder = write_tiny_moondream2(tmp_path / "model", SHAPES[0])
    change_tensors(folder, changes)
    with pytest.raises(BrokenCheckpointError, match=words):
        open_model(folder)


class Ignoring:
    """A runner whose runtime ignores token types."""

    num_blocks = 5

    def run(self, steps):
        assert steps[0].block_table == (5,)
        return StepOutput(steps[0].embeddings_TD.sum(axis=1))


def test_a_runtime_that_ignores_token_types_is_refused():
    with pytest.raises(ModelNotRunnableError, match="does not support bidirectional attention"):
        _require_prefixes(Ignoring(), np.ones((3, 8), np.float32))


def test_numbers_that_are_none_end_one_answer_only(tmp_path):
    folder = write_tiny_moondream2(tmp_path / "model", SHAPES[0])
    change_tensors(folder, {"model.text.lm_head.bias": np.full(320, 3e38, np.float32)})
    change_tensors(folder, {"model.text.post_ln.bias": np.full(64, 3e38, np.float32)})
    with open_model(folder) as model:
        for ask in (lambda: model.describe(picture(1)), lambda: model.detect(picture(1), "cat")):
            with pytest.raises(BrokenCheckpointError, match="not finite"):
                ask()


def test_clients_take_turns_and_every_picture_is_looked_at_to_its_end(folder):
    """Crops of two pictures in turn would make the tower begin anew for ever."""
    with open_model(folder) as model:
        alone = [model.ask(one, "What?", max_tokens=4, detail="high").token_ids for one in PICTURES]
    with open_model(folder) as model:
        replies = [
            model.start([one], "What?", max_tokens=4, detail="high", client=f"client {index % 2}")
            for index, one in enumerate(PICTURES)
        ]
        assert [reply.answer().token_ids for reply in replies] == alone
        assert model.tile_counts.num_encoded == len(PICTURES) + 1, (
            "one is the blank picture that loading shows it"
        )
