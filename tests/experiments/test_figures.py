"""The papers' figures: loud areas are at the sources, and every page has its file."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from dualcam.acoustics import band_beamforming, cepstra, microphones
from dualcam.data import schema
from dualcam.data.sources import datasets
from dualcam.reports import look, overlays, take_figures
from experiments import figures
from records.synthetic import acivw, takes, video
from tests.helpers import small_records

CLASSES = ('clapping', 'typing', 'knocking', 'hammering', 'speaking')
SIZE = overlays.SIZE


def image_of(power_db, row, col):
    """Cepstra [36, 48, 12] with equal directions except for a louder one."""
    made = np.zeros(schema.ACOUSTIC_SHAPE, np.float32)
    made[row, col, 0] = power_db
    return made


def hot_spot(shown):
    """(row, column) of an overlay's dark red, as fractions of its height and width."""
    pixels = shown.astype(int)
    red = pixels[..., 0] - pixels[..., 1] - pixels[..., 2]
    rows, columns = np.nonzero(red > red.max() - 12)
    return (rows.mean() + 0.5) / SIZE[1], (columns.mean() + 0.5) / SIZE[0]


def direction_of(row, col):
    """The centre of an acoustic pixel, as fractions of height and width."""
    return (row + 0.5) / 36, (col + 0.5) / 48


@pytest.fixture
def avia(tmp_path, rng):
    """Records of five actions, two scenarios and two subjects; a sixth place has none."""
    root = tmp_path / 'records'
    for location, subject, action in (
        *((1, s, a) for s in (1, 2) for a in range(1, 6)), (2, 2, 1), (2, 2, 2)
    ):  # fmt: skip
        frames = small_records.noise(rng, ('acoustic', 'audio', 'video'))
        frames['acoustic'] = [image_of(30.0 if i == 4 else 20.0, 9, 7 * action) for i in range(12)]
        frames['video'] = [np.full((48, 64, 3), 90, np.uint8)] * 12
        folder = f'Location_{location:02d}/Subject_{subject:02d}/Action_{action:03d}'
        small_records.write_second(root / folder / 'Data_001.tfrecord', frames)
    datasets.write_description(
        root, dataclasses.replace(datasets.AVIA, name='made_up', classes=CLASSES, origin='noise')
    )
    return root


def test_an_excerpt_is_the_loudest_frame_and_its_hot_spot_the_loudest_direction(rng):
    images = rng.normal(0, 0.1, (24, *schema.ACOUSTIC_SHAPE)).astype(np.float32)
    images[:, 20, 30, 0], images[17, 20, 30, 0], images[17, 5, 40, 0] = 10.0, 10.0, 14.0
    pictures = np.zeros((24, 48, 64, 3), np.uint8)
    shown = take_figures.excerpt(look.Take('t', images, pictures))
    assert shown.at_s == 17.5 / 12 and shown.waveform is None
    assert shown.range_db == pytest.approx(14.0, abs=0.1)
    np.testing.assert_allclose(hot_spot(shown.overlay), direction_of(5, 40), atol=0.015)
    bare = take_figures.excerpt(look.Take('t', images)).overlay
    assert np.all(bare[300:, :100] == bare[300, 0, 0])  # grey where nothing is loud
    np.testing.assert_allclose(hot_spot(bare), direction_of(5, 40), atol=0.015)


def test_the_band_of_cepstra_is_the_energy_of_its_filters(rng):
    params = cepstra.CepstrumParams(num_cepstra=26)  # nothing is left out
    energies = rng.uniform(0.1, 9.0, (3, 26))
    made = cepstra.energies_to_cepstra(energies, params)
    whole = cepstra.band_db(made, params=params)
    np.testing.assert_allclose(whole, 10 * np.log10(energies.sum(axis=1)), atol=1e-4)
    peaks_hz = 12 * cepstra.mel_filters().argmax(axis=1)
    some = (peaks_hz >= 900) & (peaks_hz <= 3000)
    assert 0 < some.sum() < 26
    np.testing.assert_allclose(
        cepstra.band_db(made, 900, 3000, params),
        10 * np.log10(energies[:, some].sum(axis=1)),
        atol=1e-4,
    )
    with pytest.raises(
        ValueError, match=r'a band of 10 - 20 Hz: expected one containing a mel filter'
    ):
        cepstra.band_db(made, 10, 20, params)


def test_maps_take_a_band_of_either_kind_of_image():
    power = np.full((1, 36, 48, 512), 1e-6)
    power[0, 3, 5, 50], power[0, 30, 40, 300] = 4.0, 2.0  # 600 Hz; 3,600 Hz
    both = (power, cepstra.power_to_cepstra(power))
    for images in both:
        for band_hz, place in (((300, 1200), (3, 5)), ((2500, 5000), (30, 40)), ((0, 9e9), (3, 5))):
            found = overlays.maps(images, band_hz)[0]
            if images is power or band_hz[0]:
                assert np.unravel_index(found.argmax(), found.shape) == place
    assert overlays.maps(power, (0, 9e9)).max() == pytest.approx(10 * np.log10(4.0), abs=0.01)
    with pytest.raises(
        ValueError, match='the band 7000 - 9000 Hz contains none of the frequencies'
    ):
        overlays.maps(power, (7000.0, 9000.0))


def test_channels_of_acivw_show_each_source_in_its_band(tmp_path, rng):
    """Two plane waves of different frequencies, from known directions."""
    array, grid = microphones.built_in_array(), microphones.look_directions()
    hz = np.fft.rfftfreq(1024, 1 / schema.ARRAY_RATE_HZ)
    spectra = np.zeros((128, 513), complex)
    waves = {(3000, 5000): (10, 12), (500, 1500): (26, 36)}
    for (low, high), (row, col) in waves.items():
        delays = microphones.steering_delays(array.positions_m, grid.directions[row, col][None])
        band = (hz >= low) & (hz <= high)
        phases = np.exp(2j * np.pi * rng.uniform(size=band.sum()))
        spectra[:, band] += phases * np.exp(-2j * np.pi * hz[band] * delays.reshape(-1, 1))
    signals = np.fft.irfft(spectra)  # [mics, samples], periodic
    frames = np.repeat((signals / np.abs(signals).max() * 2**20).astype(np.int32)[None], 12, 0)
    folder = tmp_path / 'class_3' / 'data_000'
    takes.write_channels(frames, folder / 'audio')
    (folder / 'video').mkdir()
    for i in range(1, 13):
        Image.new('RGB', (320, 240)).save(folder / 'video' / f'I_{i:06d}.bmp')
    for band_hz, place in waves.items():
        beamformer = band_beamforming.BandBeamformer(array, grid, overlays.band(*band_hz)[None])
        take = figures.raw_take(tmp_path, 'class_3/data_000', 1, beamformer)
        shown = take_figures.excerpt(take)
        np.testing.assert_allclose(hot_spot(shown.overlay), direction_of(*place), atol=0.03)
        assert shown.waveform.shape == (22_050,)
    drawn = figures.acivw_figure(tmp_path, 1, (500.0, 1500.0), array)
    assert 'energy of 500 - 1,500 Hz, beamformed from 128 channels' in drawn.get_suptitle()
    (caption,) = (axes.get_title() for axes in drawn.axes if axes.get_title())
    assert caption.startswith('fountain, ') and caption.endswith(' dB')


@pytest.mark.slow
def test_the_overlay_s_maximum_lies_where_the_simulated_source_is(tmp_path):
    """The source of a simulated ACIVW video, from its channels; its picture shows its position."""
    array = microphones.built_in_array()
    job = acivw.Job(tmp_path, seed=0, take_s=1, num_videos=1, dealt=None)
    simulated, _, _ = acivw.simulate_video(job, 4, 0, array)
    beamformer = band_beamforming.BandBeamformer(
        array, microphones.look_directions(), overlays.band(900.0, 6400.0)[None]
    )
    shown = take_figures.excerpt(look.Take('t', beamformer.energies(simulated.frames)))
    column, row = video.project(simulated.path_m[int(shown.at_s * 12)])
    np.testing.assert_allclose(hot_spot(shown.overlay), (row / 480, column / 640), atol=0.05)


@pytest.mark.slow
def test_pages_hold_all_actions_and_what_is_missing_is_empty(avia):
    made = figures.avia_figures(avia, 1, None)
    pages = [f'wacv2020_{kind}_{n}' for kind in ('scenarios', 'subjects') for n in (1, 2)]
    assert list(made) == [*pages, 'eccv2020_fig2_avia']
    titles = {name: shown_titles(draw()) for name, draw in made.items()}
    assert titles['wacv2020_scenarios_1'] == [
        *(f'{name}, scenario {n}' for name in CLASSES[:2] for n in (1, 2)),
        *(f'{name}, scenario 1' for name in CLASSES[2:4]),
    ]
    assert titles['wacv2020_scenarios_2'] == ['speaking, scenario 1']
    assert titles['wacv2020_subjects_2'] == [
        f'subject {s}, {name}' for s in (1, 2) for name in CLASSES[3:]
    ]
    assert [title.partition(',')[0] for title in titles['eccv2020_fig2_avia']] == list(CLASSES)
    figure = made['wacv2020_scenarios_1']()
    assert 'noise. Maps: first cepstrum' in figure.get_suptitle()
    banded = figures.avia_figures(avia, 1, (900.0, 6400.0))['wacv2020_scenarios_2']()
    assert 'Maps: energy of 900 - 6,400 Hz' in banded.get_suptitle()
    frame, wave, spectrum = figure.subfigs[0].axes
    shown = np.asarray(frame.get_images()[0].get_array())
    np.testing.assert_allclose(hot_spot(shown), direction_of(9, 7), atol=0.015)
    assert wave.get_xlim() == (0.0, 1.0) and spectrum.get_xlabel() == 'time in s'
    for axes in (wave, spectrum):  # where the frame is
        assert axes.get_lines()[-1].get_xdata()[0] == 4.5 / 12
    assert np.abs(wave.get_lines()[0].get_ydata()).max() == pytest.approx(1.0)
    assert spectrum.get_ylabel() == 'kHz' and spectrum.get_ylim() == (0.0, 6.144)


def shown_titles(figure):
    parts = [figure, *figure.subfigs]
    found = [axes.get_title() for part in parts for axes in part.axes if axes.get_title()]
    return list(dict.fromkeys(found))


def test_the_command_writes_what_there_is_and_says_what_is_missing(avia, tmp_path, program):
    results = tmp_path / 'aaai'
    results.mkdir()
    write_precisions(results, 3, {'labels alone': 0.4, 'proposed student': 0.5})
    done, out, errors = program(
        '-m', 'experiments.figures', f'--records={avia}', f'--aaai={results}', '--band=200-3000',
        f'--out={tmp_path}/out', '--seconds=1',
    )  # fmt: skip
    assert done == 0, errors
    assert 'no curve for the student, VGGish: make aaai TABLE=5 VGGISH=FILE makes it' in out
    assert 'no Figure 2 of ACIVW' in out
    names = out.splitlines()[-1].rpartition('/: ')[2].split(', ')
    assert sorted(names) == sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert len(names) == 6 and 'aaai2021_fig4.png' in names
    for name in names:
        with Image.open(tmp_path / 'out' / name) as picture:
            assert picture.width > 700 and np.asarray(picture.convert('L')).std() > 10
    code, _, errors = program('-m', 'experiments.figures', f'--out={tmp_path}/none')
    assert code == 1 and 'error: nothing to draw: no Figure 2 of ACIVW' in errors


def write_precisions(folder, number, means, records='r'):
    precisions = {row: {'train': mean, 'boat': None} for row, mean in means.items()}
    content = {'title': 'T. Data: d', 'records': records, 'average_precision': precisions}
    (folder / f'aaai2021_table{number}.json').write_text(json.dumps(content))


def test_figure_4_takes_its_three_curves_from_the_tables_of_one_data_set(tmp_path):
    assert figures.precisions_of(tmp_path)[0] == {}
    write_precisions(tmp_path, 3, {'labels alone': 0.4, 'proposed student': 0.5, 'FitNets': 0.3})
    write_precisions(tmp_path, 5, {'log-mel': 0.5, 'log-mel and VGGish': 0.6})
    curves, note, missing = figures.precisions_of(tmp_path)
    assert {name: values['train'] for name, values in curves.items()} == {
        'audio network': 0.4, 'student': 0.5, 'student, VGGish': 0.6
    }  # fmt: skip
    assert note == 'Data: d' and missing == []
    write_precisions(tmp_path, 5, {'log-mel and VGGish': 0.6}, 'other records')
    curves, _, missing = figures.precisions_of(tmp_path)
    assert list(curves) == ['audio network', 'student'] and len(missing) == 1


def test_bands_are_two_frequencies():
    assert figures.parse_band(None) is None
    assert figures.parse_band('900 - 6400.5') == (900.0, 6400.5)
    for text in ('900', '6400-900', 'a-b', '-1-5', '5-5'):
        with pytest.raises(ValueError, match=r'--band=.*: expected LOW-HIGH in hertz'):
            figures.parse_band(text)


def test_folders_without_records_are_errors(tmp_path):
    (tmp_path / 'Location_01' / 'Subject_01' / 'Action_001').mkdir(parents=True)
    with pytest.raises(ValueError, match='no records below Location_LL/Subject_SS/Action_AAA'):
        figures.take_folders(tmp_path)
