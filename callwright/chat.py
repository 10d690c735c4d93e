"""Talk to an OpenAI-compatible server: the client, the form of an answer, and what an error may repeat."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from pydantic import BaseModel, Field

from callwright.files import parse_json

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

NO_KEY = "none"
"""sent where no key is set: local servers ask for none, and the openai client insists on one"""


class Function(BaseModel):
    """What is called; the arguments are text that nobody has read yet. Some servers leave out those of an empty call."""

    name: str
    arguments: str | None = None


class ToolCall(BaseModel):
    """A call of an answer."""

    id: str | None = None
    type: str = "function"
    function: Function


class Message(BaseModel):
    """What the model said."""

    content: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(BaseModel):
    """One answer of those that were asked for."""

    message: Message
    finish_reason: str | None = None


class Completion(BaseModel):
    """What we read of a response in OpenAI's form; anything else is the server's fault, not the model's."""

    id: str | None = None
    choices: list[Choice] = Field(min_length=1)
    usage: dict[str, Any] | None = None


def read_completion(body: str) -> Completion:
    """The response that a body holds.

    Raises:
        ValidationError: it is JSON of another form.
        ValueError: it is not JSON.
    """
    return Completion.model_validate(parse_json(body))


def is_local(base_url: str) -> bool:
    """Whether a URL leads to this machine."""
    return urlsplit(base_url).hostname in ("localhost", "127.0.0.1", "::1")


def open_client(base_url: str, api_key: str, timeout_s: float, retries: int) -> "AsyncOpenAI":
    """A client that reads no more than MOST_BYTES of an answer.

    A proxy in the environment is passed by for this machine's own servers, of which it knows nothing.
    """
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    from callwright.bounded import bound
    from callwright.transport import AiohttpTransport

    proxied = not is_local(base_url) and bool(getproxies())
    http = DefaultAsyncHttpxClient(
        trust_env=proxied,
        transport=None if proxied else AiohttpTransport(),
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [bound]},
    )
    return AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=retries, timeout=timeout_s, http_client=http)


def said(error: "APIStatusError", api_key: str, most: int = 300) -> str:
    """The beginning of an error's body, on one line, with the key blotted out should the server repeat it."""
    text = " ".join(error.response.text.split())
    return (text if api_key == NO_KEY else text.replace(api_key, "***"))[:most] or "(empty body)"
