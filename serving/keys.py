"""API keys: who may ask, and how often. The server knows their hashes only."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping


class KeyRing:
    """The known keys, each with an allowance that fills up again all the time.

    Parameters
    ----------
    hashes : mapping of str to str
        Whose key it is, and the key's SHA-256 in hexadecimal.
    requests_per_minute : int
        Allowance of each key, and as many at once.
    clock : callable, optional
        Seconds that only go forward.

    Examples
    --------
    >>> ring = KeyRing({"anna": hashlib.sha256(b"k1").hexdigest()}, requests_per_minute=1, clock=lambda: 0.0)
    >>> ring.owner_of(b"k1"), ring.owner_of(b"k2")
    ('anna', None)
    >>> ring.wait_s("anna"), ring.wait_s("anna")
    (0.0, 60.0)
    """

    def __init__(
        self,
        hashes: Mapping[str, str],
        *,
        requests_per_minute: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hashes = dict(hashes)
        self.requests_per_minute = requests_per_minute
        self._clock = clock
        self._left = {owner: (float(requests_per_minute), clock()) for owner in hashes}

    def owner_of(self, key: bytes) -> str | None:
        """Return whose key it is; None for a key nobody has."""
        found = None
        sent = hashlib.sha256(key).hexdigest()
        # All are compared, each in constant time: how long it takes tells nothing.
        for owner, known in self._hashes.items():
            if hmac.compare_digest(sent, known):
                found = owner
        return found

    def wait_s(self, owner: str) -> float:
        """Take one request from the allowance; return how many seconds to wait where none is left."""
        left, counted_at = self._left[owner]
        now, per_second = self._clock(), self.requests_per_minute / 60
        left = min(left + (now - counted_at) * per_second, self.requests_per_minute)
        if left < 1:
            self._left[owner] = (left, now)
            return (1 - left) / per_second
        self._left[owner] = (left - 1, now)
        return 0.0
