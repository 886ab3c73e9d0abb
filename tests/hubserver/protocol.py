"""The hub's HTTP protocol for datasets, over the storage: repositories, trees, uploads, commits, downloads."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from hubserver.storage import Commit, Files, Repository, Storage, StoredFile

REPOSITORY = "{owner}/{name}"
OBJECTS_HOST = "127.0.0.2"
"""Large objects are downloaded from another host than the hub, as in life: the client treats it differently."""


def refused(status: int, message: str, code: str | None = None) -> web.HTTPException:
    """The hub's way to say no: a JSON body, and headers that the client reads."""
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    kinds = {
        400: web.HTTPBadRequest,
        401: web.HTTPUnauthorized,
        403: web.HTTPForbidden,
        404: web.HTTPNotFound,
        409: web.HTTPConflict,
        412: web.HTTPPreconditionFailed,
        416: web.HTTPRequestRangeNotSatisfiable,
    }
    return kinds[status](text=json.dumps({"error": message}), content_type="application/json", headers=headers)


class Protocol:
    """Handlers over one storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def routes(self) -> list[web.RouteDef]:
        api, files = f"/api/datasets/{REPOSITORY}", f"/datasets/{REPOSITORY}"
        return [
            web.get("/api/whoami-v2", self.whoami),
            web.post("/api/repos/create", self.create),
            web.post("/api/validate-yaml", self.validate_yaml),
            web.get(api, self.info),
            web.get(api + "/revision/{revision}", self.info),
            web.get(api + "/refs", self.refs),
            web.get(api + "/tree/{revision}", self.tree),
            web.get(api + "/tree/{revision}/{path:.+}", self.tree),
            web.post(api + "/paths-info/{revision}", self.paths_info),
            web.post(api + "/preupload/{revision}", self.preupload),
            web.post(api + "/commit/{revision}", self.commit),
            web.post(files + ".git/info/lfs/objects/batch", self.lfs_batch),
            web.get(files + "/resolve/{revision}/{path:.+}", self.resolve),
            web.put("/objects/{oid}", self.upload),
            web.post("/objects/{oid}/verify", self.verify),
            web.get("/objects/{oid}", self.download),
        ]

    async def whoami(self, request: web.Request) -> web.Response:
        self._may_write(request)
        return web.json_response({"name": "tester", "type": "user", "orgs": []})

    async def create(self, request: web.Request) -> web.Response:
        self._may_write(request)
        wanted = await request.json()
        owner = wanted.get("organization") or "tester"
        repo_id = f"{owner}/{wanted['name']}"
        if repo_id in self.storage.repositories:
            raise refused(409, "You already created this dataset repo")
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        self.storage.create(repo_id, private=private)
        return web.json_response({"name": repo_id, "url": f"{request.url.origin()}/datasets/{repo_id}"})

    async def validate_yaml(self, request: web.Request) -> web.Response:
        return web.json_response({"errors": [], "warnings": []})

    async def info(self, request: web.Request) -> web.Response:
        repository, commit = self._at(request)
        return web.json_response(
            {
                "id": repository.repo_id,
                "author": repository.repo_id.split("/")[0],
                "sha": commit.oid,
                "private": repository.private,
                "disabled": False,
                "gated": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [{"rfilename": path} for path in sorted(commit.files)],
            }
        )

    async def refs(self, request: web.Request) -> web.Response:
        repository, _ = self._at(request)
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.head.oid}
        return web.json_response({"branches": [main], "converts": [], "tags": []})

    async def tree(self, request: web.Request) -> web.Response:
        _, commit = self._at(request)
        folder = request.match_info.get("path", "")
        recursive = request.query.get("recursive", "").lower() in ("1", "true")
        entries = _entries(commit.files, folder, recursive=recursive)
        if folder and not entries:
            raise refused(404, f"{folder} does not exist", "EntryNotFound")
        return web.json_response(entries)

    async def paths_info(self, request: web.Request) -> web.Response:
        _, commit = self._at(request)
        asked = parse_qs(await request.text())["paths"]
        found: list[dict[str, Any]] = []
        for path in asked:
            if path in commit.files:
                found.append(_file_entry(path, commit.files[path]))
            elif any(name.startswith(path + "/") for name in commit.files):
                found.append(_folder_entry(path))
        return web.json_response(found)

    async def preupload(self, request: web.Request) -> web.Response:
        self._may_write(request)
        _, commit = self._at(request)
        wanted = (await request.json())["files"]
        return web.json_response(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(".parquet") else "regular",
                        "shouldIgnore": False,
                        "oid": commit.files[file["path"]].etag if file["path"] in commit.files else None,
                    }
                    for file in wanted
                ]
            }
        )

    async def lfs_batch(self, request: web.Request) -> web.Response:
        self._may_write(request)
        wanted = await request.json()
        return web.json_response(
            {"transfer": "basic", "objects": [self._upload_of(item, request) for item in wanted["objects"]]},
            content_type="application/vnd.git-lfs+json",
        )

    async def upload(self, request: web.Request) -> web.Response:
        oid = request.match_info["oid"]
        content = await request.read()
        if StoredFile(content, True).sha256 != oid:
            raise refused(400, "the content is not what was announced")
        self.storage.objects[oid] = content
        return web.Response()

    async def verify(self, request: web.Request) -> web.Response:
        self._may_write(request)
        announced = await request.json()
        stored = self.storage.objects.get(announced["oid"])
        if stored is None or len(stored) != announced["size"]:
            raise refused(404, "the object was not uploaded")
        return web.json_response({})

    async def commit(self, request: web.Request) -> web.Response:
        self._may_write(request)
        repository, _ = self._at(request)
        lines = [json.loads(line) for line in (await request.text()).splitlines()]
        header, operations = lines[0]["value"], lines[1:]
        if header.get("parentCommit") not in (None, repository.head.oid):
            raise refused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repository.head.files)
        for operation in operations:
            self._apply(operation["key"], operation["value"], files)
        commit = repository.commit(header["summary"], files)
        url = f"{request.url.origin()}/datasets/{repository.repo_id}/commit/{commit.oid}"
        return web.json_response({"commitUrl": url, "commitOid": commit.oid, "success": True})

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        repository, commit = self._at(request)
        path = request.match_info["path"]
        if path not in commit.files:
            raise refused(404, f"{path} does not exist in {repository.repo_id}", "EntryNotFound")
        file = commit.files[path]
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        if not file.large:
            return _content(request, file.content, headers)
        self.storage.objects[file.sha256] = file.content
        linked = {"X-Linked-ETag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.content))}
        location = str(request.url.origin().with_host(OBJECTS_HOST) / "objects" / file.sha256)
        return web.Response(status=302, headers=headers | linked | {"Location": location})

    async def download(self, request: web.Request) -> web.StreamResponse:
        oid = request.match_info["oid"]
        return _content(request, self.storage.objects[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})

    def _at(self, request: web.Request) -> tuple[Repository, Commit]:
        token = self._token(request)
        repository = self.storage.repositories.get("{owner}/{name}".format(**request.match_info))
        if repository is None or (repository.private and token is None):
            raise refused(404 if token else 401, "Repository not found", "RepoNotFound")
        commit = repository.at(request.match_info.get("revision", "main"))
        if commit is None:
            raise refused(404, "Invalid rev id", "RevisionNotFound")
        return repository, commit

    def _token(self, request: web.Request) -> str | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or None
        if token is not None and token not in self.storage.writers | self.storage.readers:
            raise refused(401, "Invalid credentials in Authorization header")
        return token

    def _may_write(self, request: web.Request) -> None:
        token = self._token(request)
        if token is None:
            raise refused(401, "Invalid username or password.")
        if token not in self.storage.writers:
            raise refused(403, "You don't have the rights to write to this repository")

    def _upload_of(self, item: dict[str, Any], request: web.Request) -> dict[str, Any]:
        announced = {"oid": item["oid"], "size": item["size"]}
        if item["oid"] in self.storage.objects:
            return announced
        href = f"{request.url.origin()}/objects/{item['oid']}"
        return announced | {"actions": {"upload": {"href": href}, "verify": {"href": href + "/verify"}}}

    def _apply(self, key: str, value: dict[str, Any], files: Files) -> None:
        if key == "file":
            files[value["path"]] = StoredFile(base64.b64decode(value["content"]), False)
        elif key == "lfsFile":
            if value["oid"] not in self.storage.objects:
                raise refused(400, f"the object of {value['path']} was not uploaded")
            files[value["path"]] = StoredFile(self.storage.objects[value["oid"]], True)
        elif key == "deletedFile":
            del files[value["path"]]
        else:
            raise refused(400, f"unknown operation {key}")


def _content(request: web.Request, content: bytes, headers: dict[str, str]) -> web.Response:
    wanted = request.http_range
    if wanted.start is None and wanted.stop is None:
        return web.Response(body=content, headers=headers)
    start, stop, _ = wanted.indices(len(content))
    if start >= len(content):
        raise refused(416, "nothing is there")
    headers = headers | {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
    return web.Response(status=206, body=content[start:stop], headers=headers)


def _entries(files: Files, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    prefix = folder + "/" if folder else ""
    entries: dict[str, dict[str, Any]] = {}
    for path, file in sorted(files.items()):
        if not path.startswith(prefix):
            continue
        steps = path[len(prefix) :].split("/")
        for depth in range(1, len(steps) if recursive else min(len(steps), 2)):
            name = prefix + "/".join(steps[:depth])
            entries.setdefault(name, _folder_entry(name))
        if recursive or len(steps) == 1:
            entries[path] = _file_entry(path, file)
    return list(entries.values())


def _folder_entry(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}


def _file_entry(path: str, file: StoredFile) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "oid": file.oid, "size": len(file.content)}
    large = {"lfs": {"oid": file.sha256, "size": len(file.content), "pointerSize": 134}} if file.large else {}
    return entry | large
