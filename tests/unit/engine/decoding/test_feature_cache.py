"""The memory of encoded tiles."""

from __future__ import annotations

import numpy as np

from smallsight.engine.decoding.feature_cache import FeatureCache, TileCounts

FEATURES = np.ones((2, 4), np.float32)  # 32 bytes


def test_the_least_recently_used_go_first():
    cache = FeatureCache(max_bytes=64)
    for digest in (b"a", b"b"):
        cache.remember(digest, FEATURES)
    assert cache.find(b"a") is FEATURES
    cache.remember(b"c", FEATURES)
    assert cache.find(b"b") is None
    assert cache.find(b"a") is FEATURES
    assert cache.num_bytes == 64


def test_the_same_tile_is_kept_once():
    cache = FeatureCache(max_bytes=64)
    cache.remember(b"a", FEATURES)
    cache.remember(b"a", FEATURES)
    assert cache.num_bytes == 32


def test_what_is_larger_than_the_cache_is_not_kept():
    cache = FeatureCache(max_bytes=31)
    cache.remember(b"a", FEATURES)
    assert cache.find(b"a") is None
    assert cache.num_bytes == 0


def test_looks_are_counted():
    cache = FeatureCache(max_bytes=64)
    assert cache.find(b"a") is None
    for digest in (b"a", b"b", b"c"):
        cache.remember(digest, FEATURES)
    assert cache.find(b"c") is not None
    cache.remember(b"large", np.ones((9, 9), np.float32))  # looked at, though not kept
    assert cache.tile_counts == TileCounts(num_encoded=4, num_known=1)
