"""The token that every change sent by a page must carry, so that no page of another site can send one.

It is bound to the session and to a secret in the data folder, which outlives restarts of the server.
``http/host_guard.py`` refuses foreign origins before; this holds where a browser sends no Origin header.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from smallsight.errors import StorageError
from smallsight.machine.private_files import create_private_file, make_private_folder

FIELD, HEADER = "form_token", "x-form-token"
_SECRET_BYTES, _NONCE_BYTES = 32, 8


class FormTokens:
    """Makes and checks tokens."""

    def __init__(self, path: Path) -> None:
        """``path`` is the file of the secret, which is created if missing; raises StorageError."""
        self._secret = _read_secret(path)

    def token(self, session: str) -> str:
        """Return a token for a session, another one each time; that of an open server has the name "".

        A token that stayed the same could be guessed from the lengths of compressed pages.
        """
        return self._token(secrets.token_hex(_NONCE_BYTES), session)

    def is_valid(self, token: str, session: str) -> bool:
        """Return whether a token is one of this session."""
        expected = self._token(token[: 2 * _NONCE_BYTES], session)
        return hmac.compare_digest(expected.encode("utf-8", "replace"), token.encode("utf-8", "replace"))

    def _token(self, nonce: str, session: str) -> str:
        signed = f"{nonce}-{session}".encode("utf-8", "replace")
        return nonce + hmac.new(self._secret, signed, hashlib.sha256).hexdigest()


def _read_secret(path: Path) -> bytes:
    try:
        make_private_folder(path.parent)
        create_private_file(path)
        secret = path.read_bytes()
        if len(secret) != _SECRET_BYTES:
            secret = secrets.token_bytes(_SECRET_BYTES)
            path.write_bytes(secret)
    except OSError as error:
        raise StorageError(
            f"Cannot write to {path}: {error.strerror}.",
            hint="give this user write permission, or set SMALLSIGHT_HOME to another folder.",
        ) from error
    return secret
