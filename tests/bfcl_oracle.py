"""The bfcl-eval wheel as an oracle: its own scorer of one answer, with stubs for what it imports and does not use."""

import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from callwright.bfcl import FOLDER
from callwright.errors import UserError
from tools.fetch_bfcl import fetch

MODEL = "any"
UNUSED = (
    "dotenv",
    "overrides",
    "tenacity",
    "bfcl_eval.eval_checker.eval_runner_helper",
    "bfcl_eval.model_handler.parser.java_parser",
    "bfcl_eval.model_handler.parser.js_parser",
)


def data() -> Path:
    """The unpacked wheel; skips the test where it cannot be had."""
    try:
        return fetch()[0]
    except UserError as error:
        if "could not be downloaded" in str(error):
            pytest.skip(str(error))
        raise


def said(calls: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Calls as a server returns them."""
    return [{"function": {"name": name, "arguments": json.dumps(arguments)}} for name, arguments in calls]


class Oracle:
    """BFCL's own verdicts on what a function-calling model answered."""

    def __init__(self, scratch: Path) -> None:
        data()
        os.environ["BFCL_PROJECT_ROOT"] = str(scratch)  # it makes folders when it is imported
        for name in UNUSED:
            sys.modules[name] = MagicMock(__all__=[])
        config = ModuleType("bfcl_eval.constants.model_config")
        config.MODEL_CONFIG_MAPPING = {MODEL: SimpleNamespace(underscore_to_dot=True)}
        sys.modules[config.__name__] = config
        sys.path.insert(0, str(FOLDER))
        from bfcl_eval.constants.enums import Language, ModelStyle, ReturnFormat
        from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI
        from bfcl_eval.eval_checker import eval_runner
        from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker
        from bfcl_eval.model_handler.api_inference.openai_completion import OpenAICompletionsHandler
        from bfcl_eval.model_handler.utils import convert_to_function_call, convert_to_tool
        from bfcl_eval.utils import load_dataset_entry

        sys.path.remove(str(FOLDER))
        self.runner, self.python, self.format = eval_runner, Language.PYTHON, ReturnFormat.PYTHON
        self.handler = OpenAICompletionsHandler.__new__(OpenAICompletionsHandler)
        self.handler.is_fc_model = True
        self.entries = load_dataset_entry
        self.tools = lambda functions: convert_to_tool(functions, GORILLA_TO_OPENAPI, ModelStyle.OPENAI_COMPLETIONS)
        self._source, self._multi_turn, self._count = convert_to_function_call, multi_turn_checker, 0

    def right(self, question: Any, tool_calls: list[dict[str, Any]]) -> bool:
        """Whether it credits an answer; one that it dies of is not credited."""
        answer = [{call["function"]["name"]: call["function"]["arguments"]} for call in tool_calls]
        common = {"model_name": MODEL, "test_category": question.category, "prompt_entry": self._entry(question)}
        common |= {"handler": self.handler, "index": question.id, "model_result_item": answer}
        if "relevance" in question.category:
            return self.runner._evaluate_single_relevance_entry(**common)["valid"]
        more = {"possible_answer_item": question.accepted, "language": self.python, "return_format": self.format}
        try:
            return self.runner._evaluate_single_ast_entry(**common, **more)["valid"]
        except (AttributeError, KeyError, OverflowError, TypeError):
            return False

    def right_turns(self, question: Any, turns: list[Any]) -> bool:
        """Whether it credits what was called, turn by turn and step by step."""
        self._count += 1  # it keeps the instances of a model's name for ever
        if len(turns) != len(question.accepted):
            return False
        source = [[self._source([{name: json.dumps(a)} for name, a in step]) for step in steps] for steps in turns]
        name = f"model{self._count}"
        entry = self._entry(question)
        return self._multi_turn(source, question.accepted, entry, question.category, name)["valid"]

    def _entry(self, question: Any) -> dict[str, Any]:
        return {
            "id": question.id,
            "function": question.functions,
            "initial_config": question.config,
            "involved_classes": question.classes,
        }
