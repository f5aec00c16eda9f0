"""Which tiles one step encodes, and that their features reach the requests that show them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.active_request import ActiveRequest
from smallsight.engine.decoding.sampler import Sampler
from smallsight.engine.decoding.text_stream import TextStream
from smallsight.engine.decoding.tile_turns import TileTurns
from smallsight.engine.decoding.token_sequence import TokenSequence
from smallsight.engine.generation import Generation
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.messages import PreparedPrompt, Tile

TOKENS = 2  # of a tile


class Encoder:
    """Image tokens that repeat the tile's letter; keeps what was encoded, and caches some of it."""

    def __init__(self, tiles_at_once: int, *, cached: str = "", in_parts: int = 1) -> None:
        self.tiles_at_once = tiles_at_once
        self.calls: list[str] = []
        self._cached = cached
        self._parts_left = in_parts

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        return features_of(tile) if tile.digest.decode() in self._cached else None

    def encode(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]] | None:
        self.calls.append("".join(tile.digest.decode() for tile in tiles))
        self._parts_left -= 1
        return None if self._parts_left > 0 else [features_of(tile) for tile in tiles]


def features_of(tile: Tile) -> NDArray[np.float32]:
    return np.full((TOKENS, 1), ord(tile.digest), np.float32)


def request(letters: str, client: str = "") -> ActiveRequest:
    tiles = tuple(Tile(np.zeros((1, 1, 3), np.uint8), letter.encode()) for letter in letters)
    tokens = list(range(TOKENS * len(tiles)))
    return ActiveRequest(
        prompt=PreparedPrompt(tuple(tokens), tiles),
        sequence=TokenSequence(0, tokens, tokens, SamplingOptions(), is_ready=False, client=client),
        sampler=Sampler(SamplingOptions(), ()),
        stream=TextStream(lambda _: ""),
        generation=Generation(),
        ignores_end=False,
        image_rows=np.arange(len(tokens)),
        pending_tiles=list(tiles),
        embeddings_TD=np.zeros((len(tokens), 1), np.float32),
    )


def written(one: ActiveRequest) -> str:
    """Return the letters whose features a request has, "." for each tile that it has none of."""
    assert one.sequence.is_ready is not bool(one.pending_tiles)
    return "".join(chr(int(value)) if value else "." for value in one.embeddings_TD[::TOKENS, 0])


def steps(encoder: Encoder, requests: list[ActiveRequest]) -> list[str]:
    """Run steps until nothing is left; return what each encoded."""
    turns = TileTurns(encoder)
    while any(one.pending_tiles for one in requests):
        turns.run(requests)
    return encoder.calls


def test_an_encoder_of_one_tile_gets_one_in_each_step():
    requests = [request("ab"), request("c")]
    assert steps(Encoder(1), requests) == ["a", "b", "c"]
    assert [written(one) for one in requests] == ["ab", "c"]


def test_an_encoder_of_many_gets_the_tiles_of_several_requests():
    requests = [request("abc"), request("d"), request("efgh")]
    assert steps(Encoder(6), requests) == ["abcdef", "gh"]
    assert [written(one) for one in requests] == ["abc", "d", "efgh"]


def test_a_tile_that_is_shown_several_times_is_encoded_once_though_nothing_is_cached():
    requests = [request("wawbw"), request("wc")]
    assert steps(Encoder(8), requests) == ["wabc"]
    assert [written(one) for one in requests] == ["wawbw", "wc"]


def test_known_tiles_are_not_encoded_and_do_not_fill_a_call():
    requests = [request("kakb"), request("kc"), request("kk")]
    assert steps(Encoder(2, cached="k"), requests) == ["ab", "c"]
    assert [written(one) for one in requests] == ["kakb", "kc", "kk"]


def test_features_are_written_up_to_the_first_tile_that_has_none():
    requests = [request("kabk")]
    TileTurns(Encoder(1, cached="k")).run(requests)
    assert written(requests[0]) == "ka.."


def test_clients_take_turns():
    requests = [request("abc", "one"), request("de", "two")]
    assert steps(Encoder(1), requests) == ["a", "d", "b", "e", "c"]


def test_a_tile_that_is_encoded_in_parts_is_completed_before_others():
    requests = [request("a", "one"), request("b", "two")]
    assert steps(Encoder(1, in_parts=3), requests) == ["a", "a", "a", "b"]
    assert [written(one) for one in requests] == ["a", "b"]


def test_a_tile_half_encoded_for_a_request_that_is_gone_holds_nobody_up():
    gone, other = request("a"), request("b")
    turns = TileTurns(encoder := Encoder(1, in_parts=2))
    turns.run([gone, other])
    turns.run([other])
    assert encoder.calls == ["a", "b"]
    assert written(other) == "b"
