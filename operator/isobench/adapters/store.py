"""Where outputs go: an S3 bucket, or a folder; one interface over both, every object whole or absent."""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import unquote, urlsplit

from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import ItemFailure, Reason

LARGEST_READ = 64 * 2**20
ATTEMPTS = 25
"""A server may be away for a minute.

boto3's n-th pause is a random part of min(0.05 * 2**n, 20) seconds (its standard mode; botocore 1.44): the 24 between
these add up to 163 s on average, 14 to 63 s, which is often less than a minute. A client's allowance (500, of which a
retry takes 14) lasts for 36.
"""

_MISSING = ("404", "NoSuchKey", "NotFound")


class Store(ABC):
    """Objects by key, `/` between its parts; every method raises ItemFailure `StoreUnavailable` where it can't."""

    @abstractmethod
    def uri(self, key: str) -> str:
        """The object's address for people."""

    @abstractmethod
    def put(self, key: str, content: bytes) -> None:
        """Make the object hold ``content``."""

    @abstractmethod
    def put_file(self, key: str, path: Path) -> None:
        """Make the object hold what the file ``path`` holds."""

    @abstractmethod
    def get(self, key: str, limit: int = LARGEST_READ) -> bytes | None:
        """What the object holds, at most ``limit`` bytes of it; None where there is none."""

    @abstractmethod
    def fetch(self, key: str, path: Path) -> bool:
        """Write the object to the file ``path``; False where there is none."""

    @abstractmethod
    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with ``prefix``, sorted."""


def open_store(uri: str, endpoint: str | None = None, attempts: int = ATTEMPTS) -> Store:
    """The store at ``uri``: `s3://bucket/prefix`, with the usual AWS variables for credentials, or `file:///folder`.

    Raises:
        InvalidInput: the address is of another kind, or boto3 is not installed.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return FolderStore(Path(unquote(parts.netloc + parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        return BucketStore(parts.netloc, parts.path.strip("/"), _client(endpoint, attempts))
    raise InvalidInput("store", [f"{uri} is no store; write s3://<bucket>/<prefix> or file://<folder>"])


def split_uri(uri: str) -> tuple[str, str]:
    """The store that an object's address is in, and its key there.

    Raises:
        InvalidInput: the address names no object.
    """
    store, _, key = uri.rpartition("/")
    if not key or "://" not in store:
        raise InvalidInput("uri", [f"{uri} names no object; write s3://<bucket>/<key> or file://<path>"])
    return store, key


@dataclass(frozen=True)
class FolderStore(Store):
    """A folder of this machine, or one that is mounted."""

    folder: Path

    def uri(self, key: str) -> str:
        """Its `file://` address."""
        return self._path(key).absolute().as_uri()

    def put(self, key: str, content: bytes) -> None:
        """Write the file, whole or not at all."""
        with self._replacing(key) as stream:
            stream.write(content)

    def put_file(self, key: str, path: Path) -> None:
        """Copy the file, whole or not at all."""
        with path.open("rb") as source, self._replacing(key) as stream:
            shutil.copyfileobj(source, stream)

    def get(self, key: str, limit: int = LARGEST_READ) -> bytes | None:
        """Read the file."""
        with _folder_errors():
            try:
                with self._path(key).open("rb") as stream:
                    return stream.read(limit)
            except FileNotFoundError:
                return None

    def fetch(self, key: str, path: Path) -> bool:
        """Copy the file out."""
        with _folder_errors():
            if not self._path(key).is_file():
                return False
            shutil.copyfile(self._path(key), path)
            return True

    def keys(self, prefix: str) -> Iterator[str]:
        """The files below the folder."""
        start = self._path(prefix.rpartition("/")[0])
        found = (path.relative_to(self.folder).as_posix() for path in start.rglob("*") if path.is_file())
        return iter(sorted(key for key in found if key.startswith(prefix)))

    def _path(self, key: str) -> Path:
        return self.folder / key

    @contextmanager
    def _replacing(self, key: str) -> Iterator[Any]:
        path = self._path(key)
        with _folder_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
                try:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                    Path(stream.name).replace(path)
                except BaseException:
                    Path(stream.name).unlink(missing_ok=True)
                    raise


@dataclass(frozen=True)
class BucketStore(Store):
    """A bucket of an S3 server; transfers in parts and their repetition are boto3's."""

    bucket: str
    prefix: str
    client: Any

    def uri(self, key: str) -> str:
        """Its `s3://` address."""
        return f"s3://{self.bucket}/{self._key(key)}"

    def put(self, key: str, content: bytes) -> None:
        """Upload it by one request."""
        with self._errors(key):
            self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=content)

    def put_file(self, key: str, path: Path) -> None:
        """Upload it, in parts where it is large."""
        with self._errors(key):
            self.client.upload_file(str(path), self.bucket, self._key(key))

    def get(self, key: str, limit: int = LARGEST_READ) -> bytes | None:
        """Download its first bytes."""
        with self._errors(key):
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=self._key(key))
                content: bytes = answer["Body"].read(limit)
            except self.client.exceptions.NoSuchKey:
                return None
            return content

    def fetch(self, key: str, path: Path) -> bool:
        """Download it, in parts where it is large."""
        from botocore.exceptions import ClientError

        with self._errors(key):
            try:
                self.client.download_file(self.bucket, self._key(key), str(path))
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    return False
                raise
            return True

    def keys(self, prefix: str) -> Iterator[str]:
        """List the bucket, a thousand a request."""
        own = len(self.prefix) + 1 if self.prefix else 0
        with self._errors(prefix):
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._key(prefix)):
                for found in page.get("Contents", ()):
                    yield found["Key"][own:]

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError, Boto3Error) as error:
            message = f"{self.uri(key)}: {error}: check address, bucket and credentials"
            raise ItemFailure(Reason.STORE_UNAVAILABLE, message[:900]) from None


@contextmanager
def _folder_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"{error.filename}: {error.strerror}: check that the folder is there and can be written"
        raise ItemFailure(Reason.STORE_UNAVAILABLE, message) from None


def _client(endpoint: str | None, attempts: int) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise InvalidInput("store", ["s3:// needs boto3, which is not installed: pip install 'isobench[s3]'"]) from None
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=10,
        read_timeout=60,
        # Servers other than AWS need not know the checksums that boto3 sends by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    # A session of its own: the module's would keep the credentials that it saw first.
    return boto3.Session().client("s3", endpoint_url=endpoint, region_name=region, config=config)
