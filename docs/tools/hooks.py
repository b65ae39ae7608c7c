"""MkDocs hooks that add pages from outside docs/: CONTRIBUTING.md, CHANGELOG.md, the notebook."""

import pathlib

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / 'work/docs'
PAGES = {'contributing.md': 'CONTRIBUTING.md', 'changes.md': 'CHANGELOG.md'}
LINKS = PAGES | {'take.md': 'examples/take.py'}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds these pages to the site."""
    for name, source in PAGES.items():
        text = (ROOT / source).read_text(encoding='utf-8')
        files.append(File.generated(config, name, content=from_docs(text)))
    for path in sorted(NOTEBOOK.iterdir()):
        files.append(File.generated(config, path.name, content=path.read_bytes()))
    return files


def from_docs(text: str) -> str:
    """Rewrites the links of a page in the root so that they work from docs/."""
    return text.replace('](docs/', '](').replace('](examples/', '](../examples/')


def on_page_markdown(markdown: str, **_) -> str:
    """Rewrites links to pages in the root, which work in the checkout, to those of the site."""
    for name, source in LINKS.items():
        markdown = markdown.replace(f'](../{source})', f']({name})')
    return markdown.replace('](../docs/', '](')  # in the notebook
