"""Extraction files as they are found in a folder: bounded, and each problem said with the file's name."""

import json
from pathlib import Path

from isobench.contracts.base import InvalidInput
from isobench.contracts.extraction import Extraction

LARGEST = 20 * 2**20
SUMMARY = "extraction_summary.json"


def extraction_files(folder: Path) -> list[Path]:
    """The extraction files in ``folder``, in the order of their names.

    Raises:
        InvalidInput: it is not a folder that can be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json" and path.name != SUMMARY)
    except OSError as error:
        raise InvalidInput(str(folder), [f"can't be read ({error.strerror}); give the folder of the files"]) from None


def read_extraction(path: Path) -> Extraction:
    """The extraction that ``path`` holds.

    Raises:
        InvalidInput: it can't be read, is too large, is empty, is not JSON in UTF-8, or is not an extraction.
    """
    data = _json(path, _bounded(path))
    if not isinstance(data, dict):
        raise InvalidInput(str(path), ['holds no JSON object; write {"commit_hash": "..."}'])
    return Extraction.parse(data, str(path))


def _bounded(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            problem = f"has {size / 2**20:.0f} MiB; an extraction file may have {LARGEST // 2**20}"
            raise InvalidInput(str(path), [problem])
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(str(path), [f"can't be read ({error.strerror})"]) from None
    if not content.strip():
        raise InvalidInput(str(path), ["is empty"])
    return content


def _json(path: Path, content: bytes) -> object:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidInput(str(path), ["is not UTF-8 text; save it as UTF-8"]) from None
    except json.JSONDecodeError as error:
        raise InvalidInput(str(path), [f"is not JSON (line {error.lineno}: {error.msg})"]) from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(str(path), [f"is JSON that can't be taken ({error})"]) from None
