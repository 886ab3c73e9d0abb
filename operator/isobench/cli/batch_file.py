"""The batch manifest as a file: YAML in, contracts out."""

from pathlib import Path

import yaml

from isobench.contracts.base import InvalidInput
from isobench.contracts.objects import CommitBenchmarkBatch


def read_batch(path: Path) -> CommitBenchmarkBatch:
    """The batch that ``path`` holds.

    Raises:
        InvalidInput: it can't be read, is not YAML, holds several documents, or is not a valid batch.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidInput(str(path), [f"can't be read ({error.strerror}); `isobench plan` writes one"]) from None
    except UnicodeDecodeError:
        raise InvalidInput(str(path), ["is not UTF-8 text; save it as UTF-8"]) from None
    except yaml.YAMLError as error:
        raise InvalidInput(str(path), [f"is not YAML: {' '.join(str(error).split())}"]) from None
    if not documents:
        raise InvalidInput(str(path), ["is empty; `isobench plan` writes a batch"])
    if len(documents) > 1:
        problem = f"holds {len(documents)} documents; run takes one batch at a time: split it into one file each"
        raise InvalidInput(str(path), [problem])
    _refuse_an_item(documents[0], path)
    batch = CommitBenchmarkBatch.parse(documents[0], str(path))
    if batch.spec.template.repository is None:
        for commit in batch.spec.commits:
            if commit.repository is None:
                problem = f"commit {commit.head} has no repository: give spec.template.repository.url, or its own"
                raise InvalidInput(str(path), [problem])
    return batch


def _refuse_an_item(document: object, path: Path) -> None:
    match document:
        case {"kind": "CommitBenchmark"}:
            problem = "is one item, which clusters take by `kubectl apply`; run takes a CommitBenchmarkBatch"
            raise InvalidInput(str(path), [f"{problem}, such as `isobench plan` writes"])
