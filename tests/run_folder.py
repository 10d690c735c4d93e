"""Run folders for tests, as eval.run leaves them before they are scored."""

from pathlib import Path
from typing import Any

from callwright.files import sha256, write_json, write_jsonl
from eval.endpoint import manifest

TOOL = {
    "function": {
        "name": "f",
        "description": "",
        "parameters": {"type": "object", "properties": {"x": {"type": "string"}}},
    }
}


def call(arguments: str, name: str = "f") -> list[dict[str, Any]]:
    """A server's `tool_calls` of one call."""
    return [{"function": {"name": name, "arguments": arguments}}]


def make_run(folder: Path, name: str, right: int, hostile: str = "", sets: tuple[str, ...] = ("",)) -> Path:
    """A run folder of 20 cases a set; `right` of the 10 calls are made."""
    files = []
    predictions = []
    for one in sets:
        path = folder.parent / f"t_{one or 'golden'}.jsonl"
        cases = []
        for i in range(20):
            identity = f"{one}{i}"
            made = call('{"x": "圖"}') if i < right or i == 19 else []
            tags = {"lang": "zh-TW" if i % 2 else "en", "kind": hostile or "plain"}
            messages = [{"role": "user", "content": f"畫 {i} {hostile}"}]
            expected = [{"name": "f", "arguments": {"x": {"contains": ["圖"]}}}] if i < 10 else []
            cases.append({"id": identity, "messages": messages, "tools": [TOOL], "expected": expected, "tags": tags})
            text = {"content": hostile or "no", "tool_calls": made, "latency_s": 0.5, "finish_reason": "stop"}
            predictions.append({"id": identity, **text})
        write_jsonl(path, cases)
        files.append(path)
    predictions[-2] = {"id": predictions[-2]["id"], "error": f"HTTP 500 {hostile}"}
    return write_run(folder, name, files, predictions, hostile)


def write_run(folder: Path, name: str, cases: list[Path], predictions: list[dict[str, Any]], hostile: str = "") -> Path:
    """A run folder of these answers to these cases files."""
    write_jsonl(folder / "predictions.jsonl", predictions)
    fingerprint = {"cases": "0" * 64, "model": f"m {hostile}", "sampling": {"max_tokens": 9}}
    about = {"name": name, "suite": "golden", "cases": {str(path): sha256(path) for path in cases}}
    write_json(folder / "manifest.json", {**manifest.describe(["x", hostile], 42), **about, "fingerprint": fingerprint})
    return folder
