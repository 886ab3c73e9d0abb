"""A batch's inputs: the archive of extraction files and tests, unpacked once by its digest, and what is in it."""

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from isobench.adapters.files import read_model
from isobench.contracts.base import InvalidInput
from isobench.contracts.extraction import Extraction
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.spec import InputsSpec

FULL_HASH = 40
TEST_SUFFIX = "_test_case_generator.py"
LARGEST_TEST = 2**20


@dataclass(frozen=True)
class Supplies:
    """Tests and extraction files by commit; ``folder`` is None when a batch has no inputs."""

    folder: Path | None = None

    def test(self, head: str) -> str | None:
        """The supplied test: `<sha>_test_case_generator.py`, or with the first eight digits.

        Raises:
            ItemFailure: TestInvalid; it is not UTF-8 text, or larger than 1 MiB.
        """
        if self.folder is None:
            return None
        try:
            return test_in(self.folder / "tests", head)
        except InvalidInput as error:
            raise ItemFailure(Reason.TEST_INVALID, str(error)) from None

    def has_test(self, head: str) -> bool:
        """Whether there is a supplied test, readable or not."""
        return self.folder is not None and _test_file(self.folder / "tests", head) is not None

    def extraction(self, head: str) -> Extraction | None:
        """What the extraction file of that commit says."""
        path = self.folder / "extractions" / f"{head}.json" if self.folder else None
        return read_model(path, Extraction) if path is not None and path.is_file() else None


def test_in(folder: Path, head: str) -> str | None:
    """The pre-generated test for ``head`` in ``folder``.

    Raises:
        InvalidInput: it is not UTF-8 text, or larger than 1 MiB.
    """
    path = _test_file(folder, head)
    if path is None:
        return None
    if path.stat().st_size > LARGEST_TEST:
        raise InvalidInput(str(path), ["is larger than 1 MiB; generate large inputs in the test, don't write them out"])
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(str(path), ["is not UTF-8 text; is it a Python script?"]) from None


def _test_file(folder: Path, head: str) -> Path | None:
    names = [f"{head}{TEST_SUFFIX}", f"{head[:8]}{TEST_SUFFIX}"]
    if len(head) < FULL_HASH:
        names += sorted(path.name for path in folder.glob(f"{head}*{TEST_SUFFIX}"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def unpack(inputs: InputsSpec | None, manifest: Path, root: Path) -> Supplies:
    """Check the archive's digest and unpack it below ``root``, once per digest.

    Raises:
        InvalidInput: the archive is missing, of another digest, not an archive, or not to be had from here.
    """
    if inputs is None:
        return Supplies()
    return unpack_archive(_locate(inputs.uri, manifest), inputs.sha256, root)


def unpack_archive(archive: Path, sha256: str, root: Path) -> Supplies:
    """Check the digest of ``archive`` and unpack it below ``root``, once per digest.

    Raises:
        InvalidInput: the archive is missing, of another digest, or not an archive.
    """
    folder = root / sha256
    if not folder.is_dir():
        _check(archive, sha256)
        partial = root / f".{sha256}.partial"
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(partial, filter="data")
        except tarfile.TarError as error:
            raise InvalidInput(str(archive), [f"is not a tar archive ({error}); make it by `isobench plan`"]) from None
        partial.rename(folder)
    return Supplies(folder)


def _locate(uri: str, manifest: Path) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if parts.scheme:
        raise InvalidInput("spec.inputs.uri", [f"{uri} can't be read on one machine; use a path or file://"])
    return manifest.parent / uri


def _check(archive: Path, sha256: str) -> None:
    try:
        digest = hashlib.file_digest(archive.open("rb"), "sha256").hexdigest()
    except OSError as error:
        raise InvalidInput(str(archive), [f"can't be read ({error.strerror}); it belongs to the manifest"]) from None
    if digest != sha256:
        raise InvalidInput(
            str(archive), [f"has the digest {digest[:12]}…, the manifest says {sha256[:12]}…; plan again"]
        )
