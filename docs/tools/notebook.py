"""Executes a notebook that is stored as a Python file, and writes it as a page of the site.

    python docs/tools/notebook.py --notebook=examples/take.py --out=work/docs

Writes OUT/<name>.md and its pictures, OUT/<name>_N.png.
"""

import argparse
import base64
import os
import pathlib
from collections.abc import Iterator

import jupytext
import nbclient
import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_S = 900


def execute(path: pathlib.Path) -> nbformat.NotebookNode:
    """Executes a notebook; returns it with the outputs of its cells.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    # For the kernel, since records/ is not installed.
    os.environ['PYTHONPATH'] = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    notebook = jupytext.read(path)
    notebook.metadata['kernelspec'] = {'name': 'python3', 'display_name': '', 'language': 'python'}
    resources = {'metadata': {'path': str(ROOT)}}
    return nbclient.NotebookClient(notebook, timeout=TIMEOUT_S, resources=resources).execute()


def page(notebook: nbformat.NotebookNode, name: str) -> tuple[str, dict[str, bytes]]:
    """Converts an executed notebook to Markdown.

    Args:
        notebook: from `execute`.
        name: prefix of the pictures' file names.

    Returns:
        The text, and {picture's file name: PNG}.
    """
    parts, pictures = [], {}
    for cell in notebook.cells:
        if cell.cell_type == 'markdown':
            parts.append(cell.source)
            continue
        parts.append(f'```python\n{cell.source}\n```')
        for kind, content in _shown(cell.outputs):
            if kind == 'image/png':
                file = f'{name}_{len(pictures) + 1}.png'
                pictures[file] = base64.b64decode(content)
                parts.append(f'![What the code above shows]({file})')
            else:
                parts.append(f'```text\n{content.rstrip()}\n```')
    return '\n\n'.join(parts) + '\n', pictures


def _shown(outputs) -> Iterator[tuple[str, str]]:
    """Yields a cell's stdout, then its pictures and values, as (type, content)."""
    printed = ''.join(
        output.text
        for output in outputs
        if output.output_type == 'stream' and output.name == 'stdout'
    )
    if printed:
        yield 'text', printed
    for output in outputs:
        if output.output_type in ('display_data', 'execute_result'):
            kind = 'image/png' if 'image/png' in output.data else 'text/plain'
            yield kind, output.data[kind]


def main() -> None:
    """Executes a notebook and writes the page."""
    parser = argparse.ArgumentParser(description='Runs a notebook and writes it as a page.')
    parser.add_argument('--notebook', type=pathlib.Path, required=True)
    parser.add_argument('--out', type=pathlib.Path, required=True, help='folder')
    options = parser.parse_args()
    name = options.notebook.stem
    text, pictures = page(execute(options.notebook), name)
    options.out.mkdir(parents=True, exist_ok=True)
    for file, data in pictures.items():
        (options.out / file).write_bytes(data)
    (options.out / f'{name}.md').write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
