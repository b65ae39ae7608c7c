"""Pages of the site that lie elsewhere: CONTRIBUTING.md, CHANGELOG.md, the notebook that ran."""

import pathlib

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / 'work/docs'
PAGES = {'contributing.md': 'CONTRIBUTING.md', 'changes.md': 'CHANGELOG.md'}
LINKS = PAGES | {'take.md': 'examples/take.py'}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds them."""
    for name, source in PAGES.items():
        text = (ROOT / source).read_text(encoding='utf-8')
        files.append(File.generated(config, name, content=from_docs(text)))
    for path in sorted(NOTEBOOK.iterdir()):
        files.append(File.generated(config, path.name, content=path.read_bytes()))
    return files


def from_docs(text: str) -> str:
    """A text of the root with its links as pages of docs/ have them."""
    return text.replace('](docs/', '](').replace('](examples/', '](../examples/')


def on_page_markdown(markdown: str, **_) -> str:
    """Links to the root's pages, as they are in the checkout, lead to the site's."""
    for name, source in LINKS.items():
        markdown = markdown.replace(f'](../{source})', f']({name})')
    return markdown.replace('](../docs/', '](')  # of the notebook
