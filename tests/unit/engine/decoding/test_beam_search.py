"""Beam search against that of transformers, on the logits of small random networks."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.engine.decoding.beam_search import BeamOptions, BeamSearch, log_softmax, repeating_tokens
from smallsight.errors import ArgumentError

START = END = 2
# beams, no_repeat_ngram, length penalty, early stopping, first, last, max_length
CASES = [
    (3, 3, 1.0, True, 0, 2, 20),
    (3, 3, 1.0, False, 0, 2, 16),
    (4, 2, 2.0, False, None, None, 14),
    (2, 0, 0.0, True, None, 2, 12),
    (1, 3, 1.0, True, 0, 2, 20),
    (3, 3, -0.5, True, 0, 2, 24),
]


@pytest.fixture(scope="module", params=range(8))
def network(request):
    import torch
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(request.param)
    sizes = {"d_model": 32, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64}
    layers = {
        f"{side}_{what}": 1 + (what != "layers")
        for side in ("encoder", "decoder")
        for what in ("layers", "attention_heads")
    }
    tokens = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": END, "decoder_start_token_id": START}
    vocabulary = 20 + 7 * request.param
    config = BartConfig(vocab_size=vocabulary, forced_eos_token_id=None, **sizes, **layers, **tokens)
    model = BartForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.4)
    return model, torch.randint(3, vocabulary, (1, 7))


@pytest.mark.mostly_slow(12)
@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_the_references(network, case):
    import torch

    model, asked = network
    beams, ngram, penalty, stops_early, first, last, max_length = case
    options = BeamOptions(
        START, frozenset([END]), max_length, beams, penalty, stops_early, ngram, first, last
    )
    search = BeamSearch(options)
    early = {"early_stopping": stops_early} if beams > 1 else {}
    with torch.no_grad():
        expected = model.generate(
            asked,
            num_beams=beams,
            no_repeat_ngram_size=ngram,
            length_penalty=penalty,
            forced_bos_token_id=first,
            forced_eos_token_id=last,
            max_length=max_length,
            do_sample=False,
            **early,
        )[0].tolist()
        memory = model.model.encoder(asked)[0].expand(beams, -1, -1)
        paths = [(START,)] * beams
        while not search.is_done:
            logits = model(encoder_outputs=(memory,), decoder_input_ids=torch.tensor(paths)).logits[:, -1]
            parents = search.advance(logits.numpy().astype(np.float32))
            paths = [
                (*paths[parent], token) for parent, token in zip(parents, search.next_tokens, strict=True)
            ]
    assert [START, *search.tokens] == expected


def test_runs_that_would_be_repeated():
    assert repeating_tokens((5, 6, 7, 5, 6), 3) == [7]
    assert repeating_tokens((5, 5), 2) == [5]
    assert repeating_tokens((5,), 3) == []


def test_log_softmax_sums_to_one():
    logits = np.random.default_rng(0).normal(0, 5, (3, 50)).astype(np.float32)
    np.testing.assert_allclose(np.exp(log_softmax(logits)).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"num_beams": 0}, {"num_beams": 17}, {"max_length": 1}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ArgumentError):
        BeamOptions(**{"start_token_id": 2, "end_token_ids": frozenset([2]), "max_length": 9, **wrong})


@pytest.mark.parametrize("forced_first", [None, 0])
@pytest.mark.parametrize("num_beams", [1, 3])
def test_an_answer_that_is_never_empty_does_not_end_at_once(num_beams: int, forced_first: int | None):
    def tokens(*, is_never_empty: bool) -> tuple[int, ...]:
        options = BeamOptions(
            START,
            frozenset([END]),
            8,
            num_beams,
            forced_first_token_id=forced_first,
            is_never_empty=is_never_empty,
        )
        search = BeamSearch(options)
        while not search.is_done:
            search.advance(np.tile(np.float32([0, 0, 9, 0, 5]), (num_beams, 1)))
        return search.tokens

    first = () if forced_first is None else (forced_first,)
    assert tokens(is_never_empty=False) == (*first, END)
    assert tokens(is_never_empty=True) == (*first, 4, END)
