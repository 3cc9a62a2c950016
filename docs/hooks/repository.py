"""What pages link to outside of docs/ becomes part of the site, so that no link leaves it."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent.parent
# A link or picture to a place in the repository: its text, the path, the anchor.
LINK = re.compile(r"\[([^\[\]]*)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")
PAGES = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
}
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".cff": "yaml"}
PICTURES = (".png", ".svg")

_origins: dict[str, str] = {}  # name in the site: path in the repository, for pages made here


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files that pages link to, and those that these link to."""
    _origins.clear()
    waiting = [(f"docs/{f.src_uri}", f.content_string) for f in files.documentation_pages()]
    waiting += [(path, "") for path in PAGES]
    while waiting:
        path, text = waiting.pop()
        name = name_in_site(path)
        if files.get_file_from_path(name) is None:
            text = _add(path, name, files, config)
        for _, target, _ in LINK.findall(text):
            there = _resolved(path, target)
            missing = files.get_file_from_path(name_in_site(there)) is None
            if missing and (ROOT / there).is_file():
                waiting.append((there, ""))
    return files


def _add(path: str, name: str, files: Files, config: MkDocsConfig) -> str:
    """Add a file of the repository to the site; return the Markdown of its page, if it is one."""
    _origins[name] = path
    if path.endswith(PICTURES):
        files.append(File.generated(config, name, content=(ROOT / path).read_bytes()))
        return ""
    text = (ROOT / path).read_text(encoding="utf-8")
    if not path.endswith(".md"):
        text = f"# {path}\n\n````{LANGUAGES.get(Path(path).suffix, 'text')}\n{text}````\n"
    files.append(File.generated(config, name, content=text))
    return text


def name_in_site(path: str) -> str:
    """Return where a file of the repository lies in the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    name = PAGES.get(path, f"repository/{path}")
    return name if name.endswith((".md", *PICTURES)) else f"{name}.md"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to the repository lead to its copy in the site; those to folders become text."""
    name = page.file.src_uri
    path = _origins.get(name, f"docs/{name}")
    here = posixpath.dirname(name) or "."

    def led(link: re.Match[str]) -> str:
        there = _resolved(path, link[2])
        if (ROOT / there).is_dir():
            return link[1]
        if files.get_file_from_path(name_in_site(there)) is None:
            return link[0]  # the build tells of it
        place = posixpath.relpath(name_in_site(there), here)
        return f"[{link[1]}]({place}{link[3] or ''})"

    return LINK.sub(led, markdown)


def _resolved(path: str, target: str) -> str:
    """Return the path in the repository that a link on a page leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
