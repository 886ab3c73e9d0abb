"""The options of `isobench plan` that make manifests for a cluster."""

import functools
from collections.abc import Callable
from typing import Any

import click

from isobench.engine.planning import ForCluster

_OPTIONS = (
    click.option("--store", metavar="URI", help="On a cluster: where records go, s3://BUCKET/PREFIX."),
    click.option("--endpoint", metavar="URL", help="Address of that S3 server, unless it is AWS."),
    click.option("--store-secret", metavar="SECRET", help="Holds the store's credentials."),
    click.option("--inputs-to", metavar="URI", help="Put extraction files and tests there, where pods find them."),
    click.option("--inputs-secret", metavar="SECRET", help="Holds read-only credentials for them."),
    click.option("--llm-secret", metavar="SECRET", help="Holds the model's key."),
    click.option("--hub-secret", metavar="SECRET", help="Holds the hub's token."),
    click.option("--parallelism", type=click.IntRange(1, 1000), default=1, help="Unfinished items at most."),
)
_NAMES = ("store", "endpoint", "store_secret", "inputs_to", "inputs_secret", "llm_secret", "hub_secret", "parallelism")


def for_cluster(command: Callable[..., int]) -> Callable[..., int]:
    """Give ``command`` these options as its ``cluster``."""

    @functools.wraps(command)
    def collected(**given: Any) -> int:
        cluster = ForCluster(**{name: given.pop(name) for name in _NAMES})
        return command(cluster=cluster, **given)

    wrapped: Callable[..., int] = collected
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
