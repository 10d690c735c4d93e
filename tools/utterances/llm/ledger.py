"""Every answer that was paid for, in SQLite: what was answered once is never asked again."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from callwright.chat import Completion
from callwright.errors import UserError
from callwright.files import make_folder, to_json

SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL, dollars REAL NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS batches (nonce TEXT PRIMARY KEY, file TEXT NOT NULL, id TEXT, requests TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Request:
    """A chat completion to ask for: the body as planned, and how often the plan asked the very same before."""

    body: dict[str, Any]
    ordinal: int = 0

    @cached_property
    def key(self) -> str:
        """Return what it is known by: the SHA-256 of its canonical JSON."""
        canonical = json.dumps([self.body, self.ordinal], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class Answer(BaseModel):
    """What a server said, as the ledger keeps it."""

    model_config = ConfigDict(frozen=True)

    id: str = ""
    content: str | None = None
    calls: list[tuple[str, str]] = []
    """names and arguments; these are JSON text that nobody has read yet"""
    finish: str | None = None
    """OpenAI's finish_reason, or `refused` where the server will not answer this request"""
    input: int | None = Field(None, ge=0)
    output: int | None = Field(None, ge=0)
    """tokens; None where the server does not say"""


def answer_of(completion: Completion) -> Answer:
    """Return the answer that a response holds."""
    choice, usage = completion.choices[0], completion.usage or {}
    return Answer(
        id=completion.id or "",
        content=choice.message.content,
        calls=[(call.function.name, call.function.arguments or "") for call in choice.message.tool_calls or []],
        finish=choice.finish_reason,
        input=usage.get("prompt_tokens"),
        output=usage.get("completion_tokens"),
    )


@dataclass(frozen=True)
class Batch:
    """A batch that was sent, or was about to be: `id` is None until the server's answer is known."""

    nonce: str
    file: str
    id: str | None
    requests: dict[str, str]
    """the key of each request, and its model"""


class Ledger:
    """data/work/<task>/ledger.sqlite. An answer is on disk before anybody sees it, so a killed run loses none.

    In WAL mode a commit outlives the process (though perhaps not a power cut). One run at a time holds it.

    Raises:
        UserError: another run holds it, or it is no ledger.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        self._path = path
        self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
            self._db.execute("BEGIN IMMEDIATE")  # takes the lock, which the mode then keeps
            self._db.execute("COMMIT")
            self.answered, self.spent = self._db.execute("SELECT count(*), total(dollars) FROM answers").fetchone()
        except sqlite3.OperationalError as error:
            self._db.close()
            raise UserError(path, f"cannot be opened ({error})", "wait for the run that uses it to end") from None
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise UserError(path, f"no ledger ({error})", "move it away; a new one starts empty") from None

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def get(self, key: str) -> Answer | None:
        """Return the answer of a request; None where there is none yet."""
        row = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return Answer.model_validate_json(row[0]) if row else None

    def put(self, key: str, answer: Answer, dollars: float) -> None:
        """Keep an answer and what it cost.

        Raises:
            UserError: the disk is full.
        """
        line = (key, answer.model_dump_json(), dollars, time.time())
        self._write("INSERT INTO answers VALUES (?, ?, ?, ?)", line)
        self.answered += 1
        self.spent += dollars

    def open_batch(self, batch: Batch) -> None:
        """Note a batch: first without an id, before it is sent, then with the server's."""
        line = (batch.nonce, batch.file, batch.id, to_json(batch.requests))
        self._write("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)", line)

    def close_batch(self, nonce: str, answers: Iterable[tuple[str, Answer, float]]) -> None:
        """Keep the answers of a batch that has ended, and forget the batch, both or neither."""
        with self._db:
            self._db.execute("BEGIN")
            for answer in answers:
                self.put(*answer)
            self._write("DELETE FROM batches WHERE nonce = ?", (nonce,))

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.OperationalError as error:
            fault, remedy = (
                f"could not be written ({error})",
                "free some space and run again: what was answered is kept",
            )
            raise UserError(self._path, fault, remedy) from None

    def batches(self) -> list[Batch]:
        """Return the batches whose answers are not here yet."""
        rows = self._db.execute("SELECT nonce, file, id, requests FROM batches ORDER BY rowid")
        return [Batch(nonce, file, identity, json.loads(requests)) for nonce, file, identity, requests in rows]
