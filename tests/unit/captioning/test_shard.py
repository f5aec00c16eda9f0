from __future__ import annotations

import pytest

from smallsight.captioning.shard import Shard
from smallsight.errors import SettingsError

KEYS = [f"folder {number % 7}/picture {number}.jpg" for number in range(3000)]


def test_every_picture_is_in_exactly_one_shard():
    shards = [Shard.parse(f"{number}/5") for number in range(1, 6)]
    members = [[key for key in KEYS if shard.has("pictures", key)] for shard in shards]
    assert sorted(key for some in members for key in some) == sorted(KEYS)
    assert all(450 < len(some) < 750 for some in members)


def test_the_rule_is_the_same_in_every_version():
    assert [key for key in KEYS[:12] if Shard(2, 3).has("a.tar", key)] == [KEYS[3], KEYS[4], KEYS[6]]


@pytest.mark.parametrize("text", ["", "0/3", "4/3", "1", "a/b", "1/2/3", "-1/3", "1/0"])
def test_what_is_no_shard_is_refused(text: str):
    with pytest.raises(SettingsError, match="--shard cannot be"):
        Shard.parse(text)
