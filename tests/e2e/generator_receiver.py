"""A process that receives the generator's callbacks as meme-search does, and can refuse them for a while.

``python generator_receiver.py PORT LOG``: one JSON line for each callback is appended to LOG. A file named
LOG.status holds the status code to answer; without it 200.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log_path: Path

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        wanted = self.log_path.with_suffix(".status")
        status = int(wanted.read_text()) if wanted.exists() else 200
        line = {
            "path": self.path,
            "type": self.headers["content-type"],
            "status": status,
            "body": json.loads(body),
        }
        with self.log_path.open("a") as log:
            log.write(json.dumps(line) + "\n")
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    Receiver.log_path = Path(sys.argv[2])
    server = Server(("127.0.0.1", int(sys.argv[1])), Receiver)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
