"""Code blocks of the documentation."""

import re

from common import ROOT


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each block, in their order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
