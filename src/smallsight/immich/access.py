"""Who may use Immich's routes: Immich sends no key, so its address may be named in the settings instead."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from fastapi import Request, Response
from fastapi.routing import APIRoute

from smallsight.http.admission import Admission
from smallsight.http.api_keys import Scope
from smallsight.http.authorise import Handler, authorise


class AllowedAddresses:
    """Addresses and networks that need no key."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(one, strict=False) for one in allowed]

    def __contains__(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)


class ImmichRoute(APIRoute):
    """A route for allowed addresses, and for the scope "use"; checked before the body is read."""

    def get_route_handler(self) -> Handler:
        """Return the handler with the check before it."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            allowed: AllowedAddresses = request.app.state.allowed
            address = "" if request.client is None else request.client.host
            request.state.client = address if address in allowed else authorise(request, Scope.USE)
            admission: Admission = request.app.state.gate.admission
            with admission.slot(request.state.client):
                return await handle(request)

        return guarded
