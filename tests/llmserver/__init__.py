"""A scripted model provider on loopback: speaks the OpenAI protocol (chat completions, responses) over real HTTP."""

from llmserver.replies import Breaks, Fails, Garbage, Hangs, Reply, Says
from llmserver.server import Asked, ModelServer, running_model

__all__ = ["Asked", "Breaks", "Fails", "Garbage", "Hangs", "ModelServer", "Reply", "Says", "running_model"]
