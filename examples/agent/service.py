"""A small HTTP service with fixed data about waste, anime and songs; on 127.0.0.1, a free port, for as long as we live."""

import json
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DATA: dict[str, dict[str, dict[str, str | int]]] = {
    "/waste": {
        "寶特瓶": {"category": "資源回收", "note": "倒空、沖洗後壓扁，瓶蓋一起交給回收車"},
        "電池": {"category": "資源回收", "note": "超商和清潔隊都收，不要丟進垃圾袋"},
        "燈管": {"category": "資源回收", "note": "不要打破，包好再交給回收車"},
        "便當盒": {"category": "紙容器回收", "note": "先把剩菜倒掉、沖乾淨"},
        "果皮": {"category": "生廚餘", "note": "可做堆肥，瀝乾後交給廚餘桶"},
        "大骨": {"category": "一般垃圾", "note": "太硬，不能當廚餘"},
        "衛生紙": {"category": "一般垃圾", "note": "用過的不能回收"},
    },
    "/anime": {
        "鬼滅之刃": {"first_aired": 2019, "studio": "ufotable", "opening": "紅蓮華"},
        "進擊的巨人": {"first_aired": 2013, "studio": "WIT STUDIO", "opening": "紅蓮的弓矢"},
        "新世紀福音戰士": {"first_aired": 1995, "studio": "GAINAX", "opening": "殘酷天使的行動綱領"},
        "葬送的芙莉蓮": {"first_aired": 2023, "studio": "MADHOUSE", "opening": "勇者"},
    },
    "/song": {
        "紅蓮華": {"artist": "LiSA", "year": 2019},
        "紅蓮的弓矢": {"artist": "Linked Horizon", "year": 2013},
        "殘酷天使的行動綱領": {"artist": "高橋洋子", "year": 1995},
        "勇者": {"artist": "YOASOBI", "year": 2023},
        "晴天": {"artist": "周杰倫", "year": 2003},
        "小幸運": {"artist": "田馥甄", "year": 2015},
        "月亮代表我的心": {"artist": "鄧麗君", "year": 1977},
    },
}


class Handler(BaseHTTPRequestHandler):
    """GET /waste?q=…, /anime?q=…, /song?q=…: the first entry that q names, or 404."""

    def do_GET(self) -> None:
        """Answer in JSON."""
        url = urlsplit(self.path)
        asked = parse_qs(url.query).get("q", [""])[0]
        known = DATA.get(url.path, {})
        name = next((name for name in known if asked and (name in asked or asked in name)), None)
        found = {"name": name, **known[name]} if name else None
        body = json.dumps(found or {"error": f"查無「{asked}」"}, ensure_ascii=False).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@cache
def address() -> str:
    """Return where the service is; the first call starts it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"
