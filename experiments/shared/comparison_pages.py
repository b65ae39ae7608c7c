"""Compares the runs of a table: results.html, one self-contained page next to the table.

Each table made in a folder has a section on the page; making it again replaces that section only.
A section has the table with its intervals, the runs' curves in one plot, differences between
confusion matrices or class scores, and clips on which two runs disagree, to see and to hear.
Nothing is trained for it, and equal runs give equal bytes.
"""

import dataclasses
import io
import pathlib
import re
from collections.abc import Mapping, Sequence

import numpy as np
import soundfile
from PIL import Image

from dualcam.data import audio
from dualcam.files import atomic, locking
from dualcam.reports import overlays, page_parts
from experiments.shared import results

FILE = 'results.html'
_SECTION = re.compile(r'<!-- section (\S+) -->\n(.*?)\n<!-- end of section \1 -->\n', re.DOTALL)
_PICTURE, _SPECTROGRAM = (320, 240), (320, 100)  # pixels
_JPEG_QUALITY = 80
ACCURACY_UNIT = 'fraction of the clips'
ACOUSTIC_PICTURE = (
    'the loudest video frame, if there is one, overlaid with the acoustic image (warm: loud, '
    'decibels above the median)'
)


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """A quantity measured over the epochs.

    Attributes:
        title: what was measured, or what the runs were trained on.
        series: {run: one value per epoch, NaN for epochs without one}.
        unit: of the values.
        span: lowest and highest value of the axis; None takes those of the series.
    """

    title: str
    series: Mapping[str, Sequence[float]]
    unit: str = ACCURACY_UNIT
    span: tuple[float, float] | None = (0.0, 1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Difference:
    """Confusion matrices of two runs on one test.

    Attributes:
        a, b: names of the runs.
        counts_a, counts_b: [classes, classes], rows are true classes.
    """

    a: str
    b: str
    counts_a: np.ndarray
    counts_b: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class ClassDifference:
    """Scores of two runs for each class.

    Attributes:
        a, b: names of the runs.
        scores_a, scores_b: {class: score from 0 to 1, or None}.
    """

    a: str
    b: str
    scores_a: Mapping[str, float | None]
    scores_b: Mapping[str, float | None]


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A clip to see and to hear.

    Attributes:
        source: the record or file that it starts with, relative to the data folder.
        label: its class, or its events.
        said: {run: prediction}.
        picture: [height, width, 3] uint8, or None.
        waveform: [samples], or None.
        rate_hz: of the waveform.
    """

    source: str
    label: str
    said: Mapping[str, str]
    picture: np.ndarray | None
    waveform: np.ndarray | None
    rate_hz: int = audio.SAMPLE_RATE_HZ


@dataclasses.dataclass(frozen=True, eq=False)
class Disagreement:
    """The clips of a test on which two runs disagree, such as a teacher and its student.

    Attributes:
        a, b: names.
        num_clips: of the test.
        counts: of the clips they disagree on: {who is right: number}.
        clips: a selection of these.
        note: a sentence on what a prediction means here; may be empty.
        pictured: what the pictures show.
    """

    a: str
    b: str
    num_clips: int
    counts: Mapping[str, int]
    clips: Sequence[Clip]
    note: str = ''
    pictured: str = ACOUSTIC_PICTURE


@dataclasses.dataclass(frozen=True, eq=False)
class Compared:
    """What a section shows in addition to its table.

    Attributes:
        classes: names.
        test: the test that the differences refer to, for titles.
        seeds: of the runs; counts are summed over them, curves averaged.
        curves, differences, class_differences, disagreements: see these; the last are for the
            first seed.
        curves_heading, curves_note: what the curves show.
        class_score: name of the score that the class differences compare.
    """

    classes: Sequence[str]
    test: str
    seeds: Sequence[int]
    curves: Sequence[Curves] = ()
    differences: Sequence[Difference] = ()
    class_differences: Sequence[ClassDifference] = ()
    disagreements: Sequence[Disagreement] = ()
    curves_heading: str = 'Validation accuracy while training'
    curves_note: str = ''
    class_score: str = 'average precision'


def write(table: results.Table, compared: Compared, out: str | pathlib.Path) -> pathlib.Path:
    """Writes a table's section of <out>/results.html.

    Returns:
        The page's path.
    """
    path = pathlib.Path(out) / FILE
    with locking.held_folder(path.parent, 'writes its page'):  # tables may be made concurrently
        sections = {}
        if path.exists():
            sections = dict(_SECTION.findall(path.read_text(encoding='utf-8')))
        sections[table.name] = ''.join(_section(table, compared))
        names = sorted(sections)
        parts = ['<h1>Results</h1><p>', *(f'<a href="#{name}">{name}</a> ' for name in names)]
        parts.append('</p>\n')
        for name in names:
            parts.append(
                f'<!-- section {name} -->\n{sections[name]}\n<!-- end of section {name} -->\n'
            )
        atomic.write_text(path, page_parts.page('Results', parts))
    return path


def _section(table, compared):
    yield f'<section id="{table.name}"><h2>{page_parts.escaped(table.title)}</h2>'
    yield f'<p>{page_parts.escaped(table.explained)}</p>{_table(table)}'
    shown = table.comparisons if table.in_words is None else table.in_words
    if shown:
        yield '<h3>Paired differences</h3><p class="faint"><small>In percentage points, with 95 % '
        yield 'bootstrap intervals over takes and seeds.</small></p><ul>'
        for one in shown:
            yield f'<li>{page_parts.escaped(f"{results.place_of(one)}: {one}.")}</li>'
        yield '</ul>'
    if any(one.series for one in compared.curves):
        yield from _curves(compared)
    if compared.differences:
        yield from _differences(compared)
    if compared.class_differences:
        yield from _class_differences(compared)
    for one in compared.disagreements:
        yield from _disagreement(one, compared)
    yield '</section>'


def _table(table):
    heads, lines = results.as_text(table)
    cells = ''.join(f'<th>{page_parts.escaped(head)}</th>' for head in heads)
    rows = ''.join(
        '<tr>' + ''.join(f'<td>{_marked(cell)}</td>' for cell in line) + '</tr>' for line in lines
    )
    return f'<div class="wide"><table class="grid"><tr>{cells}</tr>{rows}</table></div>'


def _marked(cell):
    """A cell as HTML, with interval and published value on lines of their own."""
    text = re.sub(r' (\[[^]]*\] \([^)]*\))', r'<br><small>\1</small>', page_parts.escaped(cell))
    return re.sub(r' ?\*([^*]+)\*', r'<br><i>\1</i>', text).removeprefix('<br>')


def _curves(compared):
    seeds = ', '.join(map(str, compared.seeds))
    whose = f'Mean over seeds {seeds}.' if len(compared.seeds) > 1 else f'Seed {seeds}.'
    note = f'{compared.curves_note} {whose}'.strip()
    yield f'<h3>{page_parts.escaped(compared.curves_heading)}</h3><p class="faint"><small>'
    yield f'{page_parts.escaped(note)}</small></p><div class="row">'
    for one in filter(lambda one: one.series, compared.curves):
        yield page_parts.chart(one.title, one.unit, one.series, one.span)
    yield '</div>'


def _differences(compared):
    yield f'<h3>Differences between confusion matrices, {page_parts.escaped(compared.test)}</h3>'
    yield '<div class="row">'
    for one in compared.differences:
        title = page_parts.escaped(f'{one.a} minus {one.b}')
        yield f'<section data-difference="{title}"><h4>{title}</h4>'
        yield page_parts.difference(one.counts_a, one.counts_b, compared.classes) + '</section>'
    yield '</div>'


def _class_differences(compared):
    score = page_parts.escaped(compared.class_score)
    yield f'<h3>Differences between class scores, {page_parts.escaped(compared.test)}</h3>'
    yield f'<p class="faint"><small>Differences of the {score}, in percentage points.'
    yield '</small></p><div class="row">'
    drawn = {
        f'{one.a} minus {one.b}': {
            name: None if None in (score_a, score_b) else 100.0 * (score_a - score_b)
            for name in compared.classes
            for score_a, score_b in [(one.scores_a[name], one.scores_b[name])]
        }
        for one in compared.class_differences
    }
    values = [abs(value) for points in drawn.values() for value in points.values() if value]
    for title, points in drawn.items():
        yield page_parts.bars(title, points, max([*values, 1.0]))
    yield '</div>'


def _disagreement(one, compared):
    pair = page_parts.escaped(f'{one.a} and {one.b}')
    differing = sum(one.counts.values())
    yield f'<h3>Where {pair} disagree, {page_parts.escaped(compared.test)}</h3>'
    counted = ', '.join(f'{who} {count}' for who, count in one.counts.items())
    told = (
        f'On {differing} of {one.num_clips} clips (seed {compared.seeds[0]}): {counted}. Shown: '
        f'{len(one.clips)} of them, from many classes. {one.note}'
    )
    yield f'<p>{page_parts.escaped(told.strip())}</p>'
    legend = []
    if any(clip.picture is not None for clip in one.clips):
        legend.append(f'Picture: {one.pictured}.')
    rates = {clip.rate_hz for clip in one.clips if clip.waveform is not None}
    if rates:
        legend.append(
            'Spectrogram: time to the right; frequency upwards, 0 - '
            f'{max(rates) / 2000:g} kHz; in decibels.'
        )
    yield f'<p class="faint"><small>{page_parts.escaped(" ".join(legend))}</small></p>'
    yield '<div class="clips">'
    for clip in one.clips:
        yield _figure(clip)
    yield '</div>'


def _figure(clip):
    parts = []
    if clip.picture is not None:
        parts.append(_image('scene', overlays.shrunk(clip.picture, _PICTURE)))
    if clip.waveform is not None:
        drawn = overlays.spectrogram_picture(clip.waveform, _SPECTROGRAM)
        parts.append(_image('spectrogram', drawn))
        kind, sound = _encoded(clip.waveform, clip.rate_hz)
        parts.append(f'<audio controls src="{page_parts.embedded(kind, sound)}"></audio>')
    said = ', '.join(
        f'<span class="{"right" if answer == clip.label else "wrong"}">'
        f'{page_parts.escaped(f"{who}: {answer}")}</span>'
        for who, answer in clip.said.items()
    )
    source = page_parts.escaped(clip.source)
    return (
        f'<figure data-clip="{source}">{"".join(parts)}<figcaption>'
        f'<b>{page_parts.escaped(clip.label)}</b><br>{said}<br><small class="faint">{source}'
        '</small></figcaption></figure>'
    )


def _image(name, picture):
    held = io.BytesIO()
    Image.fromarray(picture).save(held, 'JPEG', quality=_JPEG_QUALITY)
    return f'<img alt="{name}" src="{page_parts.embedded("image/jpeg", held.getvalue())}">'


def _encoded(waveform, rate_hz):
    """(media type, bytes) of a sound: MP3, a tenth of WAV's size, if the library can write it."""
    # An Ogg file would have a random serial number, hence different bytes each time.
    kind, name = 'audio/mpeg', 'MP3'
    if name not in soundfile.available_formats():
        kind, name = 'audio/wav', 'WAV'
    held = io.BytesIO()
    sound = 0.9 * audio.to_peak(np.asarray(waveform, np.float32)).numpy()
    soundfile.write(held, sound, rate_hz, format=name)
    return kind, held.getvalue()
