#!/usr/bin/env bash
# uvicorn: the path of the same valid request depends on which of its two HTTP parsers happens to be installed.
#
# Version: uvicorn 0.54.0 with h11 0.16.0 and httptools 0.9.0, Python 3.11.
# Behaviour: RFC 9112, section 3.2.2, has servers accept a whole URL as the target of a request, as clients send it that
#   believe to speak to a proxy, and has its host replace the Host header. With httptools an application sees the path
#   of the URL; with h11, which is all that a plain `pip install uvicorn` brings, it sees the whole URL as the path, so
#   that every router answers 404. With neither does the host replace the Host header.
# Workaround: an ASGI layer around everything that takes path and host out of such a raw_path.
# Output seen:
#   h11: /items?a=1 -> path /items query a=1 host other.test
#   h11: http://example.test/items?a=1 -> path http://example.test/items query a=1 host other.test
#   httptools: /items?a=1 -> path /items query a=1 host other.test
#   httptools: http://example.test/items?a=1 -> path /items query a=1 host other.test
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0 h11==0.16.0 httptools==0.9.0
cat > "$folder/targets.py" <<'PYTHON'
import socket
import threading
import time

import uvicorn


async def app(scope, receive, send):
    """Answer with the path, the host and the query that an application sees."""
    if scope["type"] == "http":
        host = dict(scope["headers"])[b"host"].decode()
        seen = f"path {scope['path']} query {scope['query_string'].decode()} host {host}"
        headers = [(b"content-length", str(len(seen)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": seen.encode()})


for parser in ("h11", "httptools"):
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=parser, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    for target in ("/items?a=1", "http://example.test/items?a=1"):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while part := client.recv(65536):
                answer += part
        body = answer.partition(b"\r\n\r\n")[2].decode()
        print(f"{parser}: {target} -> {body}")
    server.should_exit = True
    thread.join()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/targets.py")
echo "$seen"
[ "$seen" = "h11: /items?a=1 -> path /items query a=1 host other.test
h11: http://example.test/items?a=1 -> path http://example.test/items query a=1 host other.test
httptools: /items?a=1 -> path /items query a=1 host other.test
httptools: http://example.test/items?a=1 -> path /items query a=1 host other.test" ] || { echo "this has changed"; exit 1; }
