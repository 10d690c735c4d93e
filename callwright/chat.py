"""Talk to an OpenAI-compatible server: the client, the form of an answer, and what an error may repeat."""

import ipaddress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator

from callwright.errors import UserError
from callwright.files import parse_json
from callwright.records import explain
from callwright.redact import keep_secret, redact

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

NO_KEY = "none"
"""The key that is sent where none is set: local servers ask for none, and the openai client insists on one."""
MOST_WORDS = 300
"""Characters of a server's words that an error repeats."""
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
MOST_TOKENS = 10**9
"""The most tokens of an answer; more is no count."""

Text = Annotated[str, AfterValidator(redact)]
"""A server's words: servers that repeat the request's headers repeat the key."""


class Function(BaseModel):
    """What is called; the arguments are text that nobody has read yet. Some servers leave out those of an empty call."""

    name: Text
    arguments: Text | None = None


class ToolCall(BaseModel):
    """A call in an answer."""

    id: Text | None = None
    type: Text = "function"
    function: Function


class Message(BaseModel):
    """The words and calls of the model."""

    content: Text | None = None
    tool_calls: list[ToolCall] | None = None

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, message: Any) -> Any:
        """Join the text parts of a content, as Mistral's reasoning models answer, and take OpenAI's first form of a call."""
        if not isinstance(message, dict):
            return message
        content, call = message.get("content"), message.get("function_call")
        if isinstance(content, list) and all(isinstance(part, dict) and "type" in part for part in content):
            texts = [part.get("text") for part in content if part["type"] == "text"]
            if all(isinstance(text, str) for text in texts):
                message = message | {"content": "".join(texts)}
        if call and not message.get("tool_calls"):
            message = message | {"tool_calls": [{"function": call}]}
        return message


class Choice(BaseModel):
    """One answer of those that were asked for."""

    message: Message
    finish_reason: Text | None = None


class Completion(BaseModel):
    """What we read of a response in OpenAI's form; anything else is the server's fault, not the model's."""

    id: Text | None = None
    choices: list[Choice] = Field(min_length=1)
    usage: dict[str, Any] | None = None

    @field_validator("usage")
    @classmethod
    def _counts(cls, usage: dict[str, Any] | None) -> dict[str, int]:
        """Keep what counts tokens; an answer is not lost for a count that cannot be one."""
        known = {name: (usage or {}).get(name) for name in COUNTS}
        return {name: n for name, n in known.items() if type(n) is int and 0 <= n <= MOST_TOKENS}


def read_completion(body: bytes) -> Completion:
    """Read the answer that the bytes of a response hold, with known secrets blotted: whatever they are, or a ValueError.

    Raises:
        ValueError: what is wrong, in a line: too large, not UTF-8, not JSON, an error, or JSON of another form.
    """
    from callwright.bounded import MOST_BYTES

    if len(body) >= MOST_BYTES:
        raise ValueError(f"an answer of {MOST_BYTES >> 20} MiB or more")
    try:
        value = parse_json(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start}): {quoted(body)!r}") from None
    except ValueError as error:
        kind = "a stream of events, which was not asked for" if body.lstrip().startswith(b"data:") else "not JSON"
        raise ValueError(f"{kind} ({error}): {quoted(body)!r}") from None
    if isinstance(value, dict) and value.get("error") and not value.get("choices"):
        raise ValueError(f"an error in place of an answer: {quoted(body)}")
    return completion_of(value)


def completion_of(value: Any) -> Completion:
    """Read the answer that a JSON value holds; ValueError where it is of another form."""
    try:
        return Completion.model_validate(value)
    except ValidationError as error:
        raise ValueError(f"not an answer in OpenAI's form: {redact(explain(error))}") from None


def check_url(place: str, base_url: str) -> str:
    """Return a base URL as it is; UserError, at the flag or variable `place`, where it is none or holds a password."""
    try:
        url = urlsplit(base_url)
        whole = url.scheme in ("http", "https") and bool(url.hostname) and not url.query and url.port != 0
    except ValueError:  # a port or an address that is none
        whole = False
    if not whole or url.username or url.password:
        fault = "holds a user or a password" if whole else f"{base_url!r} is not a URL"
        raise UserError(place, fault, "write it as http://127.0.0.1:8000/v1, and put a key into OPENAI_API_KEY")
    return base_url


def is_local(base_url: str) -> bool:
    """Tell whether a URL leads to this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_client(base_url: str, api_key: str, timeout_s: float, retries: int) -> "AsyncOpenAI":
    """Open a client that reads no more than MOST_BYTES of an answer and follows no redirect: another server is another model.

    A proxy in the environment is passed by for this machine's own servers, of which it knows nothing.

    Raises:
        UserError: the key cannot stand in a header.
    """
    if not (api_key.isascii() and api_key.isprintable() and api_key == api_key.strip()):
        raise UserError(
            "the API key", "holds a blank, a line end or another letter than ASCII", "export it as it was given"
        )
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    from callwright.bounded import bound

    keep_secret(api_key)
    http = DefaultAsyncHttpxClient(
        trust_env=not is_local(base_url) and bool(getproxies()),
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [bound]},
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # no answer may depend on an earlier one
    )
    return AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=retries, timeout=timeout_s, http_client=http)


def quoted(text: str | bytes, most: int = 80) -> str:
    """Return the beginning of a server's words, on one line, with known secrets blotted."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return redact(" ".join(text.split()))[:most]


def refusal_words(error: "APIStatusError") -> str:
    """Say how a server refused a request: where it sends us, or the beginning of its words."""
    response = error.response
    if response.has_redirect_location:
        return f"redirects to {quoted(response.headers['Location'])}, which is not followed; give the URL that answers"
    return quoted(response.text, MOST_WORDS) or "(empty body)"
