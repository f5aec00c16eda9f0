#!/usr/bin/env bash
# h11: an empty line before a request is refused, so that a client which sends one after a body loses its next request.
#
# Version: h11 0.16.0, httptools 0.9.0 to compare with, Python 3.11.
# Behaviour: RFC 9112, section 2.2, has a server ignore at least one empty line (CRLF) before a request line, because old
#   clients send one after the body of a POST. h11 counts it as the end of a head without a request line and raises an
#   error: alone, and where it stays in the buffer after a whole request. uvicorn, which has h11 as its parser unless
#   httptools is installed, then answers 400 and closes the connection; httptools ignores the line.
# Workaround: drop leading line ends from the buffer while the client's state is IDLE.
# Output seen:
#   no empty line: Request
#   an empty line first: RemoteProtocolError: no request line received
#   an empty line first, httptools: GET
#   an empty line after a body: Request, Data, EndOfMessage, then RemoteProtocolError: no request line received
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check h11==0.16.0 httptools==0.9.0
cat > "$folder/empty_line.py" <<'PYTHON'
import h11
import httptools

GET = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 2\r\n\r\nhi"


def next_name(connection):
    """Return the name of the next event, or the error."""
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        return f"{type(error).__name__}: {error}"
    return event.__name__ if isinstance(event, type) else type(event).__name__


def first_name(data):
    """Return the name of the first event of a new connection."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    return next_name(connection)


print("no empty line:", first_name(GET))
print("an empty line first:", first_name(b"\r\n" + GET))
parser = httptools.HttpRequestParser(object())
parser.feed_data(b"\r\n" + GET)
print("an empty line first, httptools:", parser.get_method().decode())

connection = h11.Connection(h11.SERVER)
connection.receive_data(POST + b"\r\n" + GET)
seen = [next_name(connection) for _ in range(3)]
connection.send(h11.Response(status_code=204, headers=[]))
connection.send(h11.EndOfMessage())
connection.start_next_cycle()
print("an empty line after a body:", ", ".join(seen) + ", then", next_name(connection))
PYTHON
seen=$("$folder/venv/bin/python" "$folder/empty_line.py")
echo "$seen"
[ "$seen" = "no empty line: Request
an empty line first: RemoteProtocolError: no request line received
an empty line first, httptools: GET
an empty line after a body: Request, Data, EndOfMessage, then RemoteProtocolError: no request line received" ] || { echo "this has changed"; exit 1; }
