"""The official client of the Model Context Protocol, over HTTP."""

import asyncio
import base64

import httpx2
from feature_report import QUESTION, Given, Report, tell
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client


async def ask(given: Given, report: Report) -> None:
    headers = {"Authorization": f"Bearer {given.key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{given.url}/mcp", http_client=http)) as client,
    ):
        with report.feature("tools") as said:
            said(", ".join(one.name for one in (await client.list_tools()).tools))
        with report.feature("search") as said:
            found = await client.call_tool("search_pictures", {"query": given.picture.stem})
            (hit,) = found.structured_content["pictures"]
            said(hit["path"])
        with report.feature("picture") as said:
            shown = await client.call_tool("show_picture", {"picture": hit["id"], "image": True})
            (image,) = [one for one in shown.content if one.type == "image"]
            assert base64.b64decode(image.data)
            said(image.mime_type)
        with report.feature("question") as said:
            asked = {"picture": hit["id"], "question": QUESTION}
            said((await client.call_tool("ask_about_picture", asked)).structured_content["answer"])
        with report.feature("errors") as said:
            try:
                said((await client.call_tool("show_picture", {"picture": "999"})).content[0].text)
            except MCPError as error:
                said(error)


def program(given: Given, report: Report) -> None:
    asyncio.run(ask(given, report))


tell(program)
