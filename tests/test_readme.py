"""The README's Python runs in a fresh checkout, and its links lead to files."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]


def blocks(path, language):
    return re.findall(rf'```{language}\n(.*?)```', path.read_text(encoding='utf-8'), re.S)


@pytest.mark.slow
def test_the_readme_s_python_finds_the_source():
    (program,) = blocks(ROOT / 'README.md', 'python')
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    wanted = re.search(r'grid\.directions\[(\d+), (\d+)\]', program)
    assert done.stdout.split() == [*wanted.groups()]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r'\]\(([^)#\s]+)(?:#[^)]*)?\)', page.read_text(encoding='utf-8'))
    gone = [
        link
        for link in links
        if not link.startswith(('https://', 'http://', 'mailto:'))
        and not (page.parent / link).exists()
    ]
    assert gone == []
