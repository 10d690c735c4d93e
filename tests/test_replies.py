import time

import pytest

from callwright.results import Result
from eval.scoring.replies import FAULTS, reply_faults


def reply(text, content, verdict="correct", finish="stop"):
    about = {"id": "a", "group": "a", "tags": {}, "detail": "", "expected": [], "got": [], "latency_s": None}
    more = {"text": text, "content": content, "verdict": verdict, "finish_reason": finish, "completion_tokens": None}
    return Result.model_validate(about | more | {"decision": "tn"})


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("hi", "Hi! How can I help you today?"),
        ("good morning", "Good morning!"),
        ("what is 6 times 7", "42"),
        ("推薦幾部電影", "可以看《牯嶺街少年殺人事件》或 Yi Yi。"),
        ("什么是机器学习", "机器学习（Machine Learning）是让计算机从数据中学习的方法。"),
        ("皇后和太后有什麼不同", "皇后是皇帝的正妻，太后是皇帝的母親。"),
        ("東京の天気は？", "今日は晴れです。"),
        ("台北几点了", "现在台北是下午三点。"),
        ("你好", "👋"),
        ("🙂", "What can I do for you?"),
        ("Как дела?", "Хорошо, спасибо!"),
        ("name some fruit", "1. Apple\n2. Pear\n3. Plum\n4. Fig\n5. Cherry\n6. Mango\n7. Banana"),
        ("what does 請 mean", "It means “please”."),
        ("how do I write bold in HTML", "Use <b>word</b> or <strong>word</strong>."),
        ("is ha ha a word", "ha ha ha, yes"),
        ("may I", "No, no, no."),
        ("10 to the 9th?", "1,000,000,000"),
        ("你好", "謝謝謝謝！"),
    ],
)
def test_an_answer_passes(text, content):
    assert reply_faults(reply(text, content)) == []


@pytest.mark.parametrize(
    ("text", "content", "more", "faults"),
    [
        ("hi", None, {}, ["empty"]),
        ("hi", " \n ", {}, ["empty"]),
        ("tell me a story", "Once upon a time there", {"finish": "length"}, ["cut"]),
        ("推薦幾部電影", "You could watch Yi Yi or A Brighter Summer Day.", {}, ["script"]),
        ("recommend a film", "可以看牯嶺街少年殺人事件。", {}, ["script"]),
        ("為什麼天空是藍色的", "因为大气会散射阳光，蓝光散射得最多。", {}, ["script"]),
        ("为什么天空是蓝色的", "因為大氣會散射陽光，藍光散射得最多。", {}, ["script"]),
        ("東京の天気はどうですか", "今天天气很好，适合出门散步。", {}, ["script"]),
        ("日本経済史を説明して", "日本經濟史可以分成幾個時期。", {}, ["script"]),
        ("ＨＥＬＬＯ there", "Привет, чем могу помочь?", {}, ["script"]),
        ("コーヒーの淹れ方は", "スーパーでコーヒーを買ってください。", {}, []),
        ("你是誰", "我是助理。我是助理。我是助理。我是助理。我是助理。", {}, ["loop"]),
        ("hi", "Sure. " + "I can do that. " * 12, {}, ["loop"]),
        ("推薦一部電影", "看看看看看看看看", {}, ["loop"]),
        ("推薦一部電影", "好的，好的，好的，好的", {}, ["loop"]),
        ("hi", "the the the the the", {}, ["loop"]),
        ("hi", "。。。", {}, ["empty"]),
        ("hi", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", {}, ["loop"]),
        ("hi", "Once there was a fox who lived by the sea. " + "and then " * 40, {}, ["loop"]),
        ("what is the tallest mountain", "What is the tallest mountain?", {}, ["echo"]),
        ("推薦幾部好看的電影給我", "推薦幾部好看的電影給我！", {}, ["echo"]),
        ("hi", "Hello!<|im_end|>", {}, ["leak"]),
        ("hi", "[/INST] Hello!", {}, ["leak"]),
        ("hi", "Hello!\nuser\nhow are you", {}, ["leak"]),
        ("hi", "<think>\nThey greet me.\n</think>\n\nHello there!", {}, []),
        ("hi", 'draw({"a": 1', {"verdict": "malformed_attempt"}, ["leak"]),
        (
            "你好嗎",
            "<|im_start|> <|im_start|> <|im_start|> <|im_start|>",
            {"finish": "length"},
            ["cut", "script", "loop", "leak"],
        ),
    ],
)
def test_what_is_plainly_broken_is_named(text, content, more, faults):
    assert reply_faults(reply(text, content, **more)) == faults


def test_every_fault_is_tried_above():
    marks = test_what_is_plainly_broken_is_named.pytestmark[0].args[1]
    assert {fault for *_, faults in marks for fault in faults} == set(FAULTS)


def test_hostile_replies_take_linear_time():
    def seconds(n):
        started = time.process_time()
        for unit in ("<|a", "<", "哈", "a ", "\n", "user\n", "\ud800"):
            reply_faults(reply("這是什麼東西呢請你告訴我", unit * n))
        return time.process_time() - started

    seconds(1_000)
    assert seconds(80_000) < 8 * seconds(20_000) + 0.2
