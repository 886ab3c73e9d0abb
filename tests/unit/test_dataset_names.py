"""What a dataset is called on the hub and on this machine, from what a person may write for it."""

import pytest

from isobench.contracts.base import InvalidInput
from isobench.engine.dataset_names import dataset_file_name, hub_repo_id


@pytest.mark.parametrize(
    "hf_repo",
    [
        "lab/fast-commits",
        " lab/fast-commits ",
        "datasets/lab/fast-commits",
        "https://hub.example/datasets/lab/fast-commits",
        "https://hub.example/datasets/lab/fast-commits/",
        "https://hub.example/datasets/lab/fast-commits/tree/main/data",
        "https://hub.example/lab/fast-commits?row=1#top",
        "http://127.0.0.1:8000/datasets/lab/fast-commits",
        "hf://datasets/lab/fast-commits",
    ],
)
def test_every_way_to_write_a_repository_names_the_same_one(hf_repo):
    assert hub_repo_id(hf_repo, "ignored") == "lab/fast-commits"


@pytest.mark.parametrize("hf_repo", ["lab", "https://hub.example/lab", "lab/"])
def test_an_owner_alone_takes_the_datasets_name(hf_repo):
    assert hub_repo_id(hf_repo, "group/set") == "lab/group__set"


@pytest.mark.parametrize(
    "hf_repo",
    [
        "",
        "/",
        "a/b/c",
        "https://hub.example/spaces/lab/demo",
        "lab/../etc",
        "la b/set",
        "lab/-set",
        "lab/a--b",
        "lab/é",
    ],
)
def test_anything_else_is_refused_with_what_to_write(hf_repo):
    with pytest.raises(InvalidInput, match="write owner/name, owner, or the dataset's URL"):
        hub_repo_id(hf_repo, "set")


def test_the_file_is_called_after_the_repository():
    assert dataset_file_name("https://hub.example/datasets/lab/fast-commits", "set") == "fast-commits.jsonl"


def test_the_file_is_called_after_the_dataset_where_no_repository_is_named():
    assert dataset_file_name(None, "group/set") == "group__set.jsonl"
    assert dataset_file_name("lab", "group/set") == "group__set.jsonl"
