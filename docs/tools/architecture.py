"""Draws docs/pictures/architecture.svg from what the code imports.

    .venv/bin/python docs/tools/architecture.py [--out=FILE]

There is one box per folder, and one for `dualcam/startup.py`, below all boxes that import it. An
arrow is drawn only if no other path leads to the same box; the picture would be illegible with all
imports. The packages are analysed by grimp, a dependency of import-linter, without running them.
"""

import argparse
import pathlib
import sys
from collections.abc import Iterator

import grimp

ROOT = pathlib.Path(__file__).resolve().parents[2]
PICTURE = ROOT / 'docs/pictures/architecture.svg'
PACKAGES = ('dualcam', 'records', 'experiments', 'benchmarks')
PURPOSES = {
    'benchmarks': 'rates on this machine',
    'experiments': "the papers' tables",
    'records': 'raw recordings to records',
    'dualcam.cli': 'the dualcam command',
    'dualcam.live': 'the live page',
    'dualcam.reports': 'pages, films, pictures',
    'dualcam.inference': 'a student at work',
    'dualcam.training': 'recipes, loop, runs',
    'dualcam.export': 'SavedModel, TFLite',
    'dualcam.features': 'of frozen networks',
    'dualcam.models': 'one network per file',
    'dualcam.evaluation': 'scores, intervals',
    'dualcam.losses': 'what is minimised',
    'dualcam.data': 'records, sounds, clips',
    'dualcam.acoustics': 'arrays, beamforming',
    'dualcam.jobs': 'processes, a cluster',
    'dualcam.startup': 'TensorFlow, and no more',
    'dualcam.files': 'whole or not at all',
}
WIDTH, HEIGHT, GAP, RISE, MARGIN = 176, 50, 22, 36, 16

Edges = dict[str, set[str]]


def folder_imports() -> Edges:
    """The folders that each folder imports directly."""
    sys.path.insert(0, str(ROOT))  # records/ is not installed
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    edges: Edges = {}
    for module in graph.modules:
        folder = folder_of(module)
        if folder is None:
            continue
        imported = map(folder_of, graph.find_modules_directly_imported_by(module))
        edges.setdefault(folder, set()).update(one for one in imported if one not in (None, folder))
    return edges


def folder_of(module: str) -> str | None:
    """The box of a module; None for `dualcam` itself and `python -m dualcam`."""
    parts = module.split('.')
    if parts[0] != 'dualcam':
        return parts[0]
    return None if len(parts) == 1 or parts[1] == '__main__' else '.'.join(parts[:2])


def direct(edges: Edges) -> Edges:
    """The edges of an acyclic graph that no longer path replaces."""
    below: Edges = {}

    def reach(node):
        if node not in below:
            below[node] = set(edges[node]).union(*map(reach, edges[node]))
        return below[node]

    for node in edges:
        reach(node)
    return {
        node: {one for one in near if not any(one in below[other] for other in near - {one})}
        for node, near in edges.items()
    }


def levels(edges: Edges) -> dict[str, int]:
    """Each box's row from the top: one below the lowest that imports it."""
    found: dict[str, int] = {}

    def row_of(node):
        if node not in found:
            above = (row_of(other) for other in edges if node in edges[other])
            found[node] = 1 + max(above, default=-1)
        return found[node]

    for node in edges:
        row_of(node)
    return found


def places(edges: Edges, rows: dict[str, int]) -> tuple[dict[str, tuple[float, float]], int]:
    """Upper left corners of the boxes, and the width of the picture."""
    lines = [
        sorted(node for node in edges if rows[node] == row) for row in range(max(rows.values()) + 1)
    ]
    width = max(map(len, lines)) * (WIDTH + GAP) - GAP + 2 * MARGIN
    corners: dict[str, tuple[float, float]] = {}
    for row, line in enumerate(lines):
        left = (width - len(line) * (WIDTH + GAP) + GAP) / 2
        for column, node in enumerate(line):
            corners[node] = left + column * (WIDTH + GAP), MARGIN + row * (HEIGHT + RISE)
    return corners, width


def draw() -> str:
    """The picture as SVG."""
    edges = folder_imports()
    shown = direct(edges)
    corners, width = places(shown, levels(edges))
    height = max(y for _, y in corners.values()) + HEIGHT + MARGIN
    return '\n'.join([*_head(width, height), *_arrows(shown, corners), *_boxes(corners)]) + (
        '\n</svg>\n'
    )


def _head(width, height) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="sans-serif" text-anchor="middle">'
    )
    yield '<title>What imports what in DualCam: upper boxes import lower ones</title>'
    yield f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#fff"/>'
    yield (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#556"/></marker>'
    )


def _arrows(shown, corners) -> Iterator[str]:
    for node in sorted(shown):
        for other in sorted(shown[node]):
            yield (
                f'<path d="{_path(*corners[node], *corners[other])}" fill="none" stroke="#778" '
                'stroke-width="1.4" marker-end="url(#tip)"/>'
            )


def _path(x, y, to_x, to_y):
    """An arrow between boxes: a curve to the next row, or a path past the boxes in between."""
    from_y = y + HEIGHT
    if to_y - y > HEIGHT + RISE:
        away = -1 if x < to_x else 1
        side = to_x + WIDTH / 2 + away * (WIDTH / 2 + 2)
        return (
            f'M{x + WIDTH / 2 + away * WIDTH / 4:.0f} {from_y}V{to_y + HEIGHT / 2:.0f}H{side:.0f}'
        )
    bend = (to_y - from_y) / 2
    x, to_x = x + WIDTH / 2, to_x + WIDTH / 2
    return (
        f'M{x:.0f} {from_y}C{x:.0f} {from_y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} '
        f'{to_x:.0f} {to_y - 2}'
    )


def _boxes(corners) -> Iterator[str]:
    for node, (x, y) in sorted(corners.items()):
        fill = '#e8eefc' if node.startswith('dualcam') else '#fdf0dc'
        middle = x + WIDTH / 2
        yield (
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
            f'fill="{fill}" stroke="#557"/>'
        )
        yield (
            f'<text x="{middle:.0f}" y="{y + 22:.0f}" font-size="14" font-weight="bold" '
            f'fill="#113">{node}</text>'
        )
        yield (
            f'<text x="{middle:.0f}" y="{y + 40:.0f}" font-size="11.5" '
            f'fill="#445">{PURPOSES[node]}</text>'
        )


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description='Draws what imports what.')
    parser.add_argument('--out', default=PICTURE, type=pathlib.Path, help='SVG file to write')
    parser.parse_args().out.write_text(draw(), encoding='utf-8')


if __name__ == '__main__':
    main()
