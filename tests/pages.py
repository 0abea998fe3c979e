"""The pages in docs/: their configurations, and what their examples print."""

import pathlib
import re

DOCS = pathlib.Path(__file__).parent.parent / "docs"


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def steps(text):
    """The commands of a page's console blocks, each with what it prints."""
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks(text, "console")), re.M)
    return [(command, output.strip()) for command, output in found]
