"""Find out how fast and how many at once a server can be asked: the one controller of all requests of a run."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from statistics import median, quantiles

DROP, GAIN, RETURN_S = 0.05, 0.5, 40.0
"""After a 429 the rate starts so far (DROP) below its peak, is there again after RETURN_S, and after as long again so far
(GAIN) above it."""
DOUBT = 0.2
"""The cut of a peak that lasted half a pause. One that lasted longer was nearer to what the server allows."""
CATCH_UP_S = 0.05
"""A slot that is late by up to so much is made up for by the next ones."""
SHRINK, SHRINK_SILENT = 0.7, 0.5
"""The part of the window that is left after a 429 or where answers take longer, and after a try without any answer."""
GREW = 1.5
"""An answer that takes so many times its usual seconds has waited for others: one slot that two share makes it 2."""
QUICK_S = 1.0
"""An answer within it has waited for nobody worth mentioning."""
LEAST = 3
"""A window is judged by so many answers, or as many as it is wide: the first of a run may have waited for the model to load."""
REMEMBERED = 40
"""The usual seconds of a kind, and its slowest, are taken from so many answers."""
SILENCE, RAMBLING = 4, 2
"""A try is given so many times the slowest answer remembered, and times one that takes all its tokens: others may ramble."""
USUAL_TOKENS = 50
"""The tokens of an answer whose server does not count, or so short that most of its seconds went into the question."""
FIRST_S = 600.0
"""The seconds that the first answer is given: the server may still be loading the model."""


class RateLimiter:
    """Two limits for all workers together: how many requests a second (429 tells), how many under way (seconds tell).

    The rate is spaced evenly; after a 429, which pauses everybody, it follows CUBIC's curve (RFC 9438, §4.2): soon near
    the rate that was too high, long about it, then on. The window begins at one request and doubles as long as answers
    take no longer than usual; from the first that do, or a 429, or silence, it grows by one and shrinks by a part
    (additive increase, multiplicative decrease; RFC 5681).

    Args:
        ceiling: requests a second.
        widest: requests under way.
        least_s: seconds that any try is given, however fast the server is.
    """

    def __init__(self, ceiling: float, widest: int, least_s: float) -> None:
        self.ceiling, self.peak = ceiling, ceiling / (1 - DROP)  # as high as the curve begins
        self.slot = self.since = time.monotonic()  # when the next request may go, and when the curve began
        self.queue = asyncio.Lock()
        self.widest, self.least_s = widest, least_s
        self.window, self.doubling = 1, True
        self.change = 0  # how often the window has changed: what was sent before a change tells nothing of it
        self.places, self.owed = asyncio.Semaphore(1), 0  # places to be taken away as they come free
        self.seconds = defaultdict[Hashable, deque[float]](lambda: deque(maxlen=REMEMBERED))
        self.each: deque[float] = deque(maxlen=REMEMBERED)  # seconds a token, reading and waiting included
        self.usual: dict[Hashable, tuple[int, deque[float]]] = {}  # at the narrowest window that a kind was seen in
        self.slower: list[float] = []  # times as long as usual, of the answers since the last change

    def rate(self, now: float) -> float:
        """Return the requests a second that may be sent now."""
        x = (now - self.since) / RETURN_S - 1
        return min(self.ceiling, self.peak * (1 + (DROP if x < 0 else GAIN) * x**3))

    async def turn(self) -> None:
        """Wait for one's place in the queue."""
        async with self.queue:
            while (wait := self.slot - time.monotonic()) > 0:
                await asyncio.sleep(wait)  # and look again: a 429 may have moved the slot
            now = time.monotonic()
            self.slot = max(self.slot, now - CATCH_UP_S) + 1 / self.rate(now)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Name a slot after the tool and the argument, in the letters that a grammar takes."""
        await self.places.acquire()
        try:
            yield
        finally:
            if self.owed:
                self.owed -= 1
            else:
                self.places.release()

    def slow_down(self, pause_s: float) -> None:
        """Learn of a 429: nobody asks for `pause_s` seconds, then all more slowly, and fewer at once.

        One cut for all that were under way: none follows within a second, or the pause.
        """
        now, cut = time.monotonic(), max(pause_s, 1.0)
        if now >= self.since:
            self.peak = self.rate(now) * (1 - DOUBT * cut / (now - self.since + cut / 2))
            self.since = now + cut
            self._shrink(SHRINK)
        self.slot = max(self.slot, now + pause_s)

    def patience(self, longest: int) -> float:
        """Return the seconds of silence after which a request is taken for lost, if no answer takes more tokens than `longest`."""
        if not self.each:
            return max(self.least_s, FIRST_S)
        slowest = max(took for own in self.seconds.values() for took in own)
        return max(self.least_s, SILENCE * slowest, RAMBLING * longest * median(self.each))

    def answered(self, kind: Hashable, took_s: float, change: int, tokens: int | None = None) -> None:
        """Learn from an answer.

        Args:
            kind: of requests whose answers usually take as long as each other.
            change: `self.change` when it was sent.
            tokens: that it holds, where the server says so.
        """
        self.each.append(took_s / max(tokens or 0, USUAL_TOKENS))
        self.seconds[kind].append(took_s)
        if change != self.change:
            return
        narrowest, usual = self.usual.get(kind, (self.window + 1, deque[float]()))
        if self.window < narrowest:
            narrowest, usual = self.usual[kind] = self.window, deque(maxlen=REMEMBERED)
        if self.window == narrowest:  # in a wider one answers may have waited for each other
            usual.append(took_s)
        fair = quantiles(usual, n=4, method="inclusive")[0] if len(usual) > 1 else usual[0]
        self.slower.append(1.0 if took_s < QUICK_S else took_s / fair)
        if len(self.slower) < (self.window if took_s < QUICK_S else max(self.window, LEAST)):
            return
        if median(self.slower) > GREW:
            self._shrink(SHRINK)
        elif self.places.locked():  # a window that is not full has not been tried
            self._resize(min(self.widest, self.window * 2 if self.doubling else self.window + 1))

    def silent(self, change: int) -> None:
        """Learn that no answer came to a request that was sent after so many changes."""
        if change == self.change:
            self._shrink(SHRINK_SILENT)

    def _shrink(self, part: float) -> None:
        self.doubling = False
        self._resize(max(1, int(self.window * part)))

    def _resize(self, window: int) -> None:
        for _ in range(window - self.window):
            if self.owed:
                self.owed -= 1
            else:
                self.places.release()
        self.owed += max(0, self.window - window)
        self.window = window
        self.change += 1
        self.slower.clear()
