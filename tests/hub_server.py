"""As much of the Hugging Face Hub as its client libraries ask for, on 127.0.0.1.

Repositories are dicts of bytes, by commit; a model can be pushed, and its card is read first. The server can be told to
cut a file short, to refuse everything with one status, or to go away, and it keeps a list of what was asked.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

import datasets
import pytest
from huggingface_hub import ModelCard, close_session, constants
from yaml import YAMLError

API = re.compile(r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)(/(?P<verb>revision|tree)/(?P<revision>[^/]+))?")
WRITE = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/(?P<verb>preupload|commit)/(?P<revision>[^/]+)")
RESOLVE = re.compile(r"/(?P<kind>datasets/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")

Files = dict[str, bytes]


@dataclass
class Repository:
    """Files by commit, and the commits that branches point to."""

    commits: dict[str, Files]
    branches: dict[str, str] = field(default_factory=dict)

    def resolve(self, revision: str) -> str | None:
        commit = self.branches.get(revision, revision)
        return commit if commit in self.commits else None


class HubServer:
    """The server; use it as a context manager."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}  # by (models or datasets, owner/name)
        self.cut: dict[str, int] = {}  # bytes that are sent of a file before the connection closes
        self.shrunk: dict[str, int] = {}  # bytes of a file that exist after all, although more were announced
        self.status: int | None = None  # answer to everything, with a page no Hub would send
        self.requests: list[str] = []
        self.tokens: list[str] = []  # that pushes came with
        self.created: list[dict[str, str]] = []  # what was asked for each new repository
        server = self

        class Handler(_Handler):
            hub = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def publish(self, kind: str, repo: str, commit: str, files: Files, *, branch: str | None = None) -> None:
        """Add a commit, and let a branch point to it."""
        repository = self.repositories.setdefault((kind, repo), Repository({}))
        repository.commits[commit] = files
        if branch is not None:
            repository.branches[branch] = commit

    def stop(self) -> None:
        """Go away: from now on connections are refused."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"POST {path}")
        self.hub.tokens.append(self.headers.get("Authorization", ""))
        if self.hub.status is not None:
            self._send(self.hub.status, b"<html>hello</html>")
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._validate(json.loads(body)["content"])
        elif match := WRITE.fullmatch(path):
            self._write(match["repo"], match["verb"], match["revision"], body)
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path != "/api/agent-harnesses":  # huggingface_hub's own curiosity
            self.hub.requests.append(f"{self.command} {path}")
        if self.hub.status is not None:
            self._send(self.hub.status, b"<html>hello</html>")
        elif match := API.fullmatch(path):
            self._answer_api(match["kind"], match["repo"], match["verb"], match["revision"] or "main")
        elif match := RESOLVE.fullmatch(path):
            kind = "datasets" if match["kind"] else "models"
            self._answer_file(kind, match["repo"], match["revision"], match["file"])
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _find(self, kind: str, repo: str, revision: str) -> tuple[str, Files] | None:
        """The commit and its files; answers by itself where there are none."""
        repository = self.hub.repositories.get((kind, repo))
        if repository is None:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
            return None
        commit = repository.resolve(revision)
        if commit is None:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return None
        return commit, repository.commits[commit]

    def _answer_api(self, kind: str, repo: str, verb: str | None, revision: str) -> None:
        if (found := self._find(kind, repo, revision)) is None:
            return
        commit, files = found
        content: object = {"id": repo, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
        if verb == "tree":
            content = [
                {"type": "file", "path": name, "size": len(body), "oid": _etag(body)} for name, body in files.items()
            ]
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _answer_file(self, kind: str, repo: str, revision: str, name: str) -> None:
        if (found := self._find(kind, repo, revision)) is None:
            return
        commit, files = found
        if name not in files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_etag(files[name])}"'}
        size = self.hub.shrunk.get(name) if self.command == "GET" else None
        self._send(200, files[name][:size], headers, cut=self.hub.cut.get(name))

    def _create(self, asked: dict[str, str]) -> None:
        repo = f"{asked['organization']}/{asked['name']}"
        there = ("models", repo) in self.hub.repositories
        if not there:
            self.hub.created.append(asked)
        self.hub.repositories.setdefault(("models", repo), Repository({}))
        self._json({"url": f"{self.hub.url}/{repo}"}, 409 if there else 200)

    def _validate(self, card: str) -> None:
        try:
            ModelCard(card)  # reads the metadata and the results in them
        except (ValueError, YAMLError) as error:
            self._json({"errors": [{"message": str(error)}], "warnings": []}, 400)
        else:
            self._json({"errors": [], "warnings": []})

    def _write(self, repo: str, verb: str, revision: str, body: bytes) -> None:
        if verb == "preupload":
            names = [file["path"] for file in json.loads(body)["files"]]
            self._json({"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]})
            return
        lines = [json.loads(line) for line in body.splitlines()]
        told = [line["value"] for line in lines if line["key"] == "file"]
        files = {file["path"]: base64.b64decode(file["content"]) for file in told}
        commit = hashlib.sha1(body, usedforsecurity=False).hexdigest()
        self.hub.publish("models", repo, commit, files, branch=revision)
        self._json({"commitUrl": f"{self.hub.url}/{repo}/commit/{commit}", "commitOid": commit})

    def _json(self, content: object, status: int = 200) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])


def _etag(body: bytes) -> str:
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()


def use_hub(url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do in this process what HF_ENDPOINT and HF_HOME do in a new one: both are read at import."""
    close_session()
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(home / "agents.json"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", home / "datasets")
