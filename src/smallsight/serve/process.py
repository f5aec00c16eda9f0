"""Runs the server: checks the settings and keys, wires the application, and serves it until a signal."""

from __future__ import annotations

from smallsight.errors import SettingsError
from smallsight.http.api_keys import ApiKeys
from smallsight.http.foreign_pages import ANY, is_loopback
from smallsight.http.page_password import PagePassword, password_path
from smallsight.machine.own_process import deny_inspection
from smallsight.media.sandbox_report import missing_restrictions
from smallsight.policy.log import get_logger
from smallsight.serve.app import make_app
from smallsight.serve.page_workers import PageWorkers, require_passing
from smallsight.serve.running import OnListening, RunningApp, Sharing, open_socket, run_app
from smallsight.services.live_settings import LiveSettings
from smallsight.services.serving import Serving
from smallsight.settings import Settings

log = get_logger(__name__)


def serve(live: LiveSettings, on_listening: OnListening) -> None:
    """Run until a signal; ``on_listening`` is called with the URL. Raises SettingsError, ServerError."""
    settings = live.current()
    deny_inspection()
    require_key(settings)
    missing = missing_restrictions(settings.limits)
    num_others = settings.server.workers - 1
    require_passing(settings.server.workers)
    listener = open_socket(settings.server)
    sharing = None
    if num_others:
        workers = PageWorkers(num_others, listener, live.overrides, settings.server.drain_timeout_s)
        sharing = Sharing(
            workers.counts, 0, workers.start, on_stopping=workers.begin_stop, on_ended=workers.wait
        )

    def make() -> RunningApp:
        app = make_app(Serving(live, missing_restrictions=missing))
        return app.asgi, app.admission

    run_app(make, settings.server, listener, on_listening, sharing)


def require_key(settings: Settings) -> None:
    """Raise SettingsError when a server without key and password could be used by others, or needs a key.

    Also when either cannot be read. Warns of a server without them that has names for others to use.
    """
    server = settings.server
    has_password = PagePassword(password_path(settings.home)).is_on
    if ApiKeys(settings.api_keys_path).all():
        return
    if server.require_key:
        raise SettingsError(
            f"Refusing to start without an API key: there is none in {settings.api_keys_path}.",
            hint="create one with `smallsight keys add NAME`, or set server.require_key to false.",
        )
    if has_password:
        return
    to_protect = "create one with `smallsight keys add NAME`, or set a password with `smallsight password`"
    if not is_loopback(server.host):
        raise SettingsError(
            f"Refusing to listen on {server.host} without an API key or a password.",
            hint=f"{to_protect}, or listen on 127.0.0.1.",
        )
    if server.behind_proxy:
        raise SettingsError(
            "Refusing to start behind a proxy without an API key or a password.", hint=f"{to_protect}."
        )
    for name in ("allowed_hosts", "allowed_origins"):
        if ANY in getattr(server, name):
            raise SettingsError(
                f'Refusing to start with "*" in server.{name} and without an API key or a password: '
                "any web page that somebody opens here could use this server.",
                hint=f"{to_protect}, or list the names.",
            )
    if server.allowed_hosts or server.allowed_origins:
        log.warning(
            "no_key_for_other_clients",
            why="server.allowed_hosts or server.allowed_origins lets others in, and no key is needed",
            action=to_protect,
        )
