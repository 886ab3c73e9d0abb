"""The options of `isobench plan` that make manifests for a cluster."""

import functools
from collections.abc import Callable
from typing import Any

import click

from isobench.cli import options
from isobench.contracts.base import InvalidInput
from isobench.engine.planning import ForCluster


def _address(flag: str, explanation: str) -> Callable[[Any], Any]:
    return click.option(flag, metavar="URI", type=options.ADDRESS, help=f"Cluster: {explanation}.")


def _secret(flag: str, explanation: str) -> Callable[[Any], Any]:
    return click.option(flag, metavar="SECRET", type=options.NAME, help=f"Cluster: Secret {explanation}.")


_OPTIONS = (
    _address("--store", "records go to s3://BUCKET/PREFIX; makes it a plan for a cluster"),
    _address("--endpoint", "the S3 server, unless it is AWS"),
    _secret("--store-secret", "that opens --store"),
    _address("--inputs-to", "tests and extraction files are put there, for pods to read"),
    _secret("--inputs-secret", "that may read --inputs-to"),
    _secret("--llm-secret", "with the model's key, for tests and agents"),
    _secret("--hub-secret", "with the hub's token"),
    click.option(
        "--parallelism",
        type=click.IntRange(1, 1000),
        default=1,
        show_default=True,
        help="Items that may be unfinished at the same time.",
    ),
)
_NAMES = ("store", "endpoint", "store_secret", "inputs_to", "inputs_secret", "llm_secret", "hub_secret", "parallelism")


def for_cluster(command: Callable[..., int]) -> Callable[..., int]:
    """Give ``command`` these options as its ``cluster``."""

    @functools.wraps(command)
    def collected(**given: Any) -> int:
        cluster = ForCluster(**{name: given.pop(name) for name in _NAMES})
        _refuse_unusable(cluster)
        return command(cluster=cluster, **given)

    wrapped: Callable[..., int] = collected
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _refuse_unusable(cluster: ForCluster) -> None:
    if cluster.store is not None and not cluster.store.startswith("s3://"):
        raise InvalidInput("--store", [f"{cluster.store} is nowhere that pods can write; give s3://BUCKET/PREFIX"])
    if cluster.inputs_to is not None and not cluster.inputs_to.startswith(("s3://", "file://")):
        raise InvalidInput(
            "--inputs-to", [f"{cluster.inputs_to} is no store; give s3://BUCKET/PREFIX or file://FOLDER"]
        )
    if cluster.store_secret and cluster.store is None:
        raise InvalidInput(
            "--store-secret", [f"{cluster.store_secret} opens no store: give --store s3://BUCKET/PREFIX"]
        )
    if cluster.inputs_secret and cluster.inputs_to is None:
        problem = f"{cluster.inputs_secret} opens nothing: give --inputs-to s3://BUCKET/PREFIX"
        raise InvalidInput("--inputs-secret", [problem])
