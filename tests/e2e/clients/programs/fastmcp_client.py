"""FastMCP's client, over HTTP."""

import asyncio

from fastmcp import Client
from fastmcp.exceptions import ToolError
from feature_report import QUESTION, Given, Report, tell


async def ask(given: Given, report: Report) -> None:
    async with Client(f"{given.url}/mcp", auth=given.key) as client:
        with report.feature("tools") as said:
            said(", ".join(one.name for one in await client.list_tools()))
        with report.feature("search") as said:
            found = await client.call_tool("search_pictures", {"query": given.picture.stem})
            (hit,) = found.structured_content["pictures"]
            said(hit["path"])
        with report.feature("picture") as said:
            (content,) = await client.read_resource(f"smallsight://pictures/{hit['id']}/thumbnail")
            assert content.blob
            said(content)
        with report.feature("question") as said:
            asked = {"picture": hit["id"], "question": QUESTION}
            said((await client.call_tool("ask_about_picture", asked)).structured_content["answer"])
        with report.feature("errors") as said:
            try:
                await client.call_tool("show_picture", {"picture": "999"})
            except ToolError as error:
                said(error)


def program(given: Given, report: Report) -> None:
    asyncio.run(ask(given, report))


tell(program)
