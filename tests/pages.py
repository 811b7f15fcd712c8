"""The documentation's pages, as tests read them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
PAGES = [page for page in PAGES if "_build" not in page.parts]
_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def blocks_of(page):
    """(language, text) of each fenced block, in order."""
    return [(found[2].strip(), found[3]) for found in _FENCE.finditer(page.read_text())]


def prose_of(page):
    """The page without its fenced blocks and code spans."""
    return re.sub(r"`[^`]*`", "", _FENCE.sub("", page.read_text()))


def commands_of(page):
    """The shell commands of its `sh` blocks, a line each."""
    texts = [text.replace("\\\n", " ") for language, text in blocks_of(page) if language == "sh"]
    return [line for text in texts for line in text.splitlines() if line.strip()]


def named(page):
    """A page's path below the root, for messages."""
    return str(page.relative_to(ROOT))
