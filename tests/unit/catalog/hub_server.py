"""A model hub on the loopback interface, as its own process, that can be told to misbehave.

Speaks the few endpoints that a pull needs. Prints its port, then serves until it is ended. `POST _repository`
adds a repository, `POST /_trouble` sets what goes wrong next, `GET /_log` returns the requests so far.
"""

import base64
import hashlib
import json
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK_BYTES = 64 * 1024
REPOSITORIES = {}  # name -> {"commit": ..., "revisions": {...}, "files": {path: bytes}}
TROUBLE = {}
LOG = []


def is_large(path):
    return path.endswith(".safetensors")


def digest(path, content):
    if is_large(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/_repository":
            files = {path: base64.b64decode(text) for path, text in body["files"].items()}
            REPOSITORIES[body["name"]] = {
                "commit": body["commit"],
                "revisions": body["revisions"],
                "files": files,
            }
        else:
            TROUBLE.clear()
            TROUBLE.update(body)
        self.answer(200, b"{}")

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        if self.path == "/_log":
            self.answer(200, json.dumps(LOG).encode())
            return
        LOG.append(
            {
                "method": self.command,
                "path": self.path,
                "range": self.headers.get("Range"),
                "token": self.headers.get("Authorization"),
            }
        )
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/?]+)(\?.*)?", self.path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^?]+)", self.path)
        if api:
            self.repository(api[1], api[2])
        elif file:
            self.file(file[1], file[2], file[3])
        else:
            self.answer(404, b"no such endpoint")

    def repository(self, name, revision):
        if "api_status" in TROUBLE:
            self.answer(TROUBLE["api_status"], b"refused", **TROUBLE.get("api_headers", {}))
            return
        if "api_body" in TROUBLE:
            self.answer(200, TROUBLE["api_body"].encode())
            return
        repository = REPOSITORIES.get(name)
        if repository is None:
            self.answer(401, b"{}", **{"X-Error-Code": "RepoNotFound"})
            return
        if revision != repository["commit"] and revision not in repository["revisions"]:
            self.answer(404, b"{}", **{"X-Error-Code": "RevisionNotFound"})
            return
        siblings = []
        for path, content in repository["files"].items():
            size = TROUBLE.get("claimed_size", {}).get(path, len(content))
            row = {"rfilename": path, "size": size, "blobId": hashlib.sha1(content).hexdigest()}
            if is_large(path):
                row["lfs"] = {"sha256": digest(path, content), "size": size, "pointerSize": 130}
            else:
                row["blobId"] = digest(path, content)
            siblings.append(row)
        model = {"id": name, "modelId": name, "sha": repository["commit"], "siblings": siblings, "tags": []}
        self.answer(200, json.dumps(model).encode())

    def file(self, name, revision, path):
        repository = REPOSITORIES.get(name)
        if repository is None or path not in repository["files"] or revision != repository["commit"]:
            self.answer(404, b"", **{"X-Error-Code": "EntryNotFound"})
            return
        content = repository["files"][path]
        headers = {
            "X-Repo-Commit": repository["commit"],
            "ETag": f'"{digest(path, content)}"',
            "Accept-Ranges": "bytes",
        }
        if is_large(path):
            headers["X-Linked-Etag"] = f'"{digest(path, content)}"'
            headers["X-Linked-Size"] = str(len(content))
        if self.command == "HEAD":
            self.answer(200, content, **headers)
            return
        statuses = TROUBLE.get("file_statuses", {}).get(path)
        if statuses:
            self.answer(statuses.pop(0), b"busy", **{"Retry-After": "0"})
            return
        if "redirect_to" in TROUBLE:
            self.answer(302, b"", Location=TROUBLE["redirect_to"] + self.path)
            return
        if path in TROUBLE.get("corrupt", []):
            content = content[:-1] + bytes([content[-1] ^ 1])
        if path in TROUBLE.get("longer", []):
            content += b"x"
        self.send_bytes(path, content, headers)

    def send_bytes(self, path, content, headers):
        status, asked = 200, re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and not TROUBLE.get("no_ranges"):
            start = int(asked[1])
            if path in TROUBLE.get("refuse_ranges", []):
                self.answer(416, b"")
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status, content = 206, content[start:]
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cuts = TROUBLE.get("cuts", {}).get(path)
        limit = cuts.pop(0) if cuts else len(content)
        for start in range(0, limit, CHUNK_BYTES):
            self.wfile.write(content[start : min(limit, start + CHUNK_BYTES)])
            time.sleep(TROUBLE.get("delay_s", 0))
        self.close_connection = limit < len(content)

    def answer(self, status, body, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
