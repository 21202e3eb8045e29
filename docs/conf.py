"""The documents as a site: `make site` builds it into build/site, and a warning is an error."""

import re
import tomllib
from pathlib import Path
from typing import Any

project = "Pratique"
author = "The authors of Pratique"
PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
version = release = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["version"]
html_title = "Pratique"
root_doc = "README"
extensions = ["myst_parser", "sphinx_copybutton"]
html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}
html_static_path = ["static"]
html_css_files = ["pictures.css"]
html_show_sourcelink = html_show_copyright = False
myst_heading_anchors = 4
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
exclude_patterns = ["generate.py"]
suppress_warnings = ["misc.highlighting_failure"]  # csv and the like have no lexer

FOLDERS = {
    "tutorial": "Tutorial",
    "how-to": "How to",
    "reference": "Reference",
    "explanation": "Explanation",
    "decisions": "Decisions",
}
_FILE_BLOCK = re.compile(r"^```(\w+) file=(\S+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?:([\w-]+)/)?([\w-]+)\.md\)")


def read(_app: Any, name: str, source: list[str]) -> None:
    """Show the name of the file that a block is, and give the first page the tree of all others, in its own order."""
    text = _FILE_BLOCK.sub(r"```{code-block} \1\n:caption: \2\n", source[0])
    if name == root_doc:
        pages = list(dict.fromkeys(_LINK.findall(text)))
        for folder, caption in FOLDERS.items():
            names = "\n".join(f"{found}/{page}".lstrip("/") for found, page in pages if (found or "how-to") == folder)
            text += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{names}\n```\n"
    source[0] = text


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
