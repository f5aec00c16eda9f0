"""The errors for failed requests to a model hub, with their messages and hints."""

from __future__ import annotations

from http import HTTPStatus

from smallsight.errors import DownloadError, ModelUnavailableError

_BY_HAND = "or fetch the files elsewhere and register their folder: `smallsight models add DIR`."


def refused(status: int, repository: str, what: str | None = None) -> DownloadError:
    """Return the error for an HTTP status that rejected a request for a repository or its file ``what``."""
    wanted = repository if what is None else f"{what} of {repository}"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return DownloadError(
            f"The hub denied this user access to {wanted} (HTTP {status}).",
            hint="if the model is gated, accept its terms on its page and set HF_TOKEN; " + _BY_HAND,
        )
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return DownloadError(
            f"The hub has no {wanted} (HTTP {status}).",
            hint="check the name and the revision; " + _BY_HAND,
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DownloadError(
            f"The hub is too busy to serve {wanted} (HTTP {status}).",
            hint="try again later: what has been downloaded is kept; " + _BY_HAND,
        )
    return DownloadError(f"The hub refused {wanted} (HTTP {status}).", hint="check HF_ENDPOINT; " + _BY_HAND)


def unreachable(repository: str, error: Exception, *, is_partly_here: bool = False) -> DownloadError:
    """Return the error for a hub that cannot be reached, or a connection that was lost."""
    why = str(error) or type(error).__name__
    kept = "what has been downloaded is kept; " if is_partly_here else ""
    return DownloadError(
        f"{repository} could not be downloaded, network error: {why.rstrip('.')}.",
        hint=f"check the connection and try again: {kept}{_BY_HAND}",
    )


def offline(name: str, repository: str) -> ModelUnavailableError:
    """Return the error for a model whose files are not on this machine while downloads are off."""
    return ModelUnavailableError(
        f"The files of {name} are not on this machine, and downloads are off.",
        hint=f"pull it once without --offline and HF_HUB_OFFLINE, or copy {repository} here and register its "
        "folder: `smallsight models add DIR`.",
    )
