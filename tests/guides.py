"""The Python blocks of a guide, which tests paste where the guide says."""

from __future__ import annotations

import re

from tests.conftest import ROOT


def blocks(guide: str) -> list[str]:
    """Every block of Python of a page, in order."""
    return re.findall(r"```python\n(.*?)```", (ROOT / guide).read_text(), flags=re.DOTALL)
