from __future__ import annotations

import socket

import pytest

from smallsight.errors import SettingsError
from smallsight.serve.page_workers import require_passing


def test_several_processes_are_refused_where_connections_cannot_be_passed(monkeypatch: pytest.MonkeyPatch):
    require_passing(2)
    monkeypatch.delattr(socket, "send_fds")
    require_passing(1)
    with pytest.raises(SettingsError, match=r"on this system: 2\."):
        require_passing(2)
