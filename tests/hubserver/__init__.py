"""A hub on loopback: speaks enough of the real hub's protocol for the real `datasets` and `huggingface_hub`."""

from hubserver.faults import Fault
from hubserver.server import READ_TOKEN, WRITE_TOKEN, HubServer, running_hub

__all__ = ["READ_TOKEN", "WRITE_TOKEN", "Fault", "HubServer", "running_hub"]
