"""Three tools over HTTP, as typed functions: python -m eval.agent --tools examples/agent/lookups.py …"""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener

from service import address

__all__ = ["anime_facts", "song_facts", "sort_waste"]


def sort_waste(item: str) -> dict[str, Any]:
    """查詢一項垃圾屬於哪一類、該怎麼丟。

    Args:
        item: 要丟的東西，例如「寶特瓶」
    """
    return _get("waste", item)


def anime_facts(title: str) -> dict[str, Any]:
    """查詢一部動畫的首播年份、製作公司和片頭曲。

    Args:
        title: 動畫的中文名稱，例如「鬼滅之刃」
    """
    return _get("anime", title)


def song_facts(title: str) -> dict[str, Any]:
    """查詢一首歌的演唱者和發行年份。

    Args:
        title: 歌名，例如「晴天」
    """
    return _get("song", title)


def _get(kind: str, asked: str) -> Any:
    opener = build_opener(ProxyHandler({}))  # no proxy leads to this machine
    try:
        with opener.open(f"{address()}/{kind}?q={quote(asked)}", timeout=5) as answer:
            return json.load(answer)
    except HTTPError as error:
        return json.load(error)
