"""Records written by a Dask cluster equal those of local processes, whatever is killed."""

import contextlib
import functools
import json
import os
import pathlib
import re

import numpy as np
import pytest
import scipy.io
import soundfile

pytest.importorskip('distributed', reason='dualcam[cluster] is not installed')

from dualcam import jobs
from dualcam.acoustics import geometry_files, microphones
from dualcam.data import schema
from dualcam.jobs import clusters, workers
from records import (
    avia_layout,
    beamform,
    convert_acivw,
    convert_array,
    convert_avia,
    convert_sounds,
    convert_tagging,
    steering,
    verify,
)
from tests.helpers import array_takes, deadly_pieces, small_raw
from tests.helpers.dask_engine import Engine, start_command, wait_for

LEVEL = 4  # zlib: ISA-L, up to level 3, occasionally chooses another match of equal length


def left(out):
    """{path: bytes} of a conversion's files, with sorted manifest lines."""
    return {
        path.relative_to(out).as_posix(): (
            sorted(path.read_bytes().splitlines()) if path.suffix == '.jsonl' else path.read_bytes()
        )
        for path in out.rglob('*')
        if path.is_file() and path.name != '.lock'
    }


def _avia(root, out, cluster):
    return convert_avia.convert(
        root / 'matfiles',
        root / 'sync',
        out,
        [schema.ACOUSTIC, schema.AUDIO],
        sequence_seconds=3,
        compression_level=LEVEL,
        processes=2,
        cluster=cluster,
    )


def _acivw(root, out, cluster):
    return convert_acivw.convert(
        root, out, [schema.ACOUSTIC], compression_level=LEVEL, cluster=cluster
    )


def _sounds(root, out, cluster):
    return convert_sounds.convert(root, out, cluster=cluster)


def _tagging(root, out, cluster):
    return convert_tagging.convert(
        root / 'list.csv',
        'training',
        root / 'audio',
        out,
        frames=root / 'frames',
        clip_seconds=1,
        cluster=cluster,
    )


def _array(root, out, cluster):
    return convert_array.convert(
        root / 'takes.csv', 'uma16', out, compression_level=LEVEL, cluster=cluster
    )


def _write_takes(root, rng):
    root.mkdir()
    for name in ('a', 'b', 'c'):
        take = array_takes.uma16_take([(10, 0)], 2.1, rng, rate_hz=16_000)
        soundfile.write(root / f'{name}.wav', take, 16_000, 'FLOAT')
    (root / 'takes.csv').write_text('recording,class\na.wav,one\nb.wav,two\nc.wav,two\n')


@pytest.mark.parametrize(
    'convert, write, count',
    [
        (_avia, small_raw.write_avia, 6),
        (_acivw, small_raw.write_acivw, 4),
        (_sounds, small_raw.write_sounds, 4),
        (_tagging, small_raw.write_clips, 4),
        (_array, _write_takes, 6),
    ],
    ids=['avia', 'acivw', 'sounds', 'tagging', 'array'],
)
def test_workers_leave_what_processes_leave(
    cluster, convert, write, count, tmp_path, rng, monkeypatch
):
    write(tmp_path / 'raw', rng)
    with monkeypatch.context() as patched:
        patched.setattr(os, 'cpu_count', lambda: 1)  # beamforming threads add in varying order
        assert convert(tmp_path / 'raw', tmp_path / 'local', None)[:2] == (count, 0)
    monkeypatch.chdir(tmp_path)  # workers run in another folder
    assert convert(pathlib.Path('raw'), pathlib.Path('out'), cluster)[:2] == (count, 0)
    assert left(tmp_path / 'out') == left(tmp_path / 'local')
    assert convert(pathlib.Path('raw'), pathlib.Path('out'), cluster)[:2] == (0, count)
    assert verify.verify('out', cluster=cluster)[:2] == (count, [])
    record = max((tmp_path / 'out').rglob('*.tfrecord'))
    record.write_bytes(record.read_bytes()[:-9])
    found = verify.verify(tmp_path / 'out', cluster=cluster)
    assert found == verify.verify(tmp_path / 'out', processes=2) and len(found[1]) == 1


def test_workers_beamform_the_same_images(cluster, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(beamform, '_FRAMES_AT_A_TIME', 5)
    for action in (0, 1):
        folder = tmp_path / f'raw/array/Location_01/Subject_01/Action_{action:03d}/audio'
        folder.mkdir(parents=True)
        for i in range(8):
            samples = rng.integers(-(2**20), 2**20, (16, 1024), np.int32)
            samples.T.tofile(folder / f'A_{i + 1:06d}.dc')  # Fortran order
    sequences = avia_layout.find_sequences({'array': tmp_path / 'raw' / 'array'})
    beam = steering.Steering(
        geometry_files.uma16(), microphones.look_directions(), None, num_threads=1
    )
    images = []
    for name, by in (('local', None), ('out', cluster)):
        (tmp_path / name).mkdir()
        assert beamform.beamform(sequences, tmp_path / name, beam, cluster=by) == (16, 0)
        paths = sorted((tmp_path / name).rglob('*'))
        images.append(
            {
                path.relative_to(tmp_path / name): scipy.io.loadmat(path)['MFCC'].tobytes()
                for path in paths
                if path.is_file()
            }
        )
    assert images[0] == images[1] and len(images[0]) == 16
    partial = paths[-1].with_name('.Data_9.mat.host-1-00.partial')
    partial.touch()
    paths[-1].unlink()
    assert beamform.beamform(sequences, tmp_path / 'out', beam, cluster=cluster) == (3, 13)
    assert not partial.exists()


def _convert_many(raw, out, place):
    options = '--sequence_seconds=30', f'--compression_level={LEVEL}', place
    return start_command(*small_raw.avia_call(raw, out, *options))


@pytest.fixture(scope='module')
def many(tmp_path_factory):
    """Raw takes that keep two workers busy for seconds, and the records of local processes."""
    root = tmp_path_factory.mktemp('many')
    sequences = [(1, 1, action) for action in range(8)]
    small_raw.write_avia(root / 'raw', np.random.default_rng(7), sequences)
    convert_avia.convert(
        root / 'raw/matfiles',
        root / 'raw/sync',
        root / 'local',
        [schema.ACOUSTIC, schema.AUDIO],
        compression_level=LEVEL,
        processes=2,
    )
    return root / 'raw', left(root / 'local')


def _some_are_there(out, count):
    wait_for(lambda: len(list(out.rglob('[!.]*.tfrecord'))) >= count)


def _assert_whole(out, wanted):
    lines = (out / 'manifest.jsonl').read_text().splitlines()
    assert len(lines) == len(set(lines)) == 8 * 30
    found = left(out)
    paths = [found.pop('conversion.json'), dict(wanted).pop('conversion.json')]
    assert found == {path: data for path, data in wanted.items() if path != 'conversion.json'}
    assert [json.loads(text)['sequence_seconds'] for text in paths] == [30, 30]
    assert verify.verify(out)[1] == []


def test_a_worker_that_is_killed_changes_nothing(engine, cluster, many, tmp_path):
    raw, wanted = many
    out = tmp_path / 'out'
    job = _convert_many(raw, out, f'--cluster_file={engine.file}')
    _some_are_there(out, 5)
    engine.kill_worker()
    text, errors = job.communicate(timeout=60)
    assert job.returncode == 0, errors
    assert text.startswith('240 records written, 0 already existed')
    wait_for(lambda: len(engine.worker_pids()) == 2)  # its nanny has started another one
    _assert_whole(out, wanted)


def test_after_a_lost_scheduler_the_next_call_resumes(many, tmp_path):
    raw, wanted = many
    out, lost = tmp_path / 'out', Engine(tmp_path / 'lost')
    try:
        job = _convert_many(raw, out, f'--cluster={lost.address}')
        _some_are_there(out, 5)
        lost.kill_scheduler()
        _, errors = job.communicate(timeout=60)
    finally:
        lost.close()
    assert job.returncode == 1
    lines = [line for line in errors.splitlines() if line and 'sequence/s' not in line]
    assert len(lines) == 1, errors
    assert re.fullmatch(
        f'error: the scheduler at {lost.address} was lost after \\d+ of 8 pieces; start it and '
        'its workers again and call again, which resumes',
        lines[0],
    )
    there = len(list(out.rglob('[!.]*.tfrecord')))
    assert 5 <= there < 240
    again = Engine(tmp_path / 'again')
    try:
        job = _convert_many(raw, out, f'--cluster={again.address}')
        text, errors = job.communicate(timeout=60)
    finally:
        again.close()
    assert job.returncode == 0, errors
    assert text.startswith(f'{240 - there} records written, {there} already existed')
    _assert_whole(out, wanted)


@pytest.mark.parametrize('apart', [False, True], ids=['in the worker', 'beside it'])
def test_a_piece_that_ends_every_worker_is_named_and_the_others_are_done(cluster, apart):
    done = []
    with pytest.raises(OSError, match=r'^piece 3: killed every worker that ran it') as raised:
        jobs.run_all(
            deadly_pieces.square,
            range(8),
            1,
            'piece',
            cluster=cluster,
            name_of=lambda piece: f'piece {piece}',
            done=done.append,
            apart=apart,
        )
    assert 'the other 7 of 8 pieces are done' in str(raised.value)
    assert sorted(done) == [0, 1, 4, 16, 25, 36, 49]
    wait_for(lambda: cluster.num_threads() == 2)


def test_a_stopped_call_leaves_no_network_running(cluster, tmp_path):
    wait_for(lambda: cluster.max_in_flight() == 4)  # it knows that both workers are there
    paths = [tmp_path / 'one', tmp_path / 'two']
    # Closing, as Ctrl-C does.
    with contextlib.closing(cluster.run(deadly_pieces.hang, [None, *paths], apart=True)) as numbers:
        next(numbers)
        wait_for(lambda: all(path.exists() for path in paths))  # both workers are busy
    again = jobs.run_all(deadly_pieces.hang, [None] * 3, 1, 'piece', cluster=cluster, apart=True)
    assert len(again) == 3 and not set(again) & {int(path.read_text()) for path in paths}


def test_the_first_error_ends_the_job_and_warnings_are_printed_here(cluster, capsys):
    done = []
    with pytest.raises(ValueError, match=r'^2 is even$'):
        jobs.run_all(
            deadly_pieces.refuse, range(100), 1, 'piece', cluster=cluster, done=done.append
        )
    assert {0, 1} <= set(done) and len(done) < 50
    assert 'warning: one: is odd\n' in capsys.readouterr().err
    assert jobs.run_all(deadly_pieces.refuse, [5, 4, 0], 1, 'piece', cluster=cluster) == [5, 4, 0]
    assert jobs.run_all(deadly_pieces.refuse, [], 1, 'piece', cluster=cluster) == []


def test_the_dashboard_shows_pieces_by_the_name_of_their_work(cluster):
    def prefixes(dask_scheduler):
        return set(dask_scheduler.task_prefixes)

    partial = functools.partial(deadly_pieces.refuse)
    assert jobs.run_all(partial, [5], 1, 'piece', cluster=cluster) == [5]
    assert 'refuse' in cluster._client.run_on_scheduler(prefixes)


def test_other_versions_are_refused(engine, cluster, monkeypatch):
    own = workers.versions()
    assert list(own) == ['dualcam', 'numpy', 'isal', 'tensorflow', 'keras']
    assert own['numpy'] == np.__version__
    monkeypatch.setattr(workers, 'versions', lambda: own | {'numpy': '9.9'})
    message = rf'has numpy {own["numpy"]} instead of 9\.9, so that results could differ'
    with (
        pytest.raises(ValueError, match=rf'^worker tcp://127\.0\.0\.1:\d+ {message}'),
        jobs.connected(engine.address, None),
    ):
        pass
    with pytest.raises(ValueError, match=message):  # for workers that join later
        jobs.run_all(deadly_pieces.refuse, [0], 1, 'piece', cluster=cluster)
    monkeypatch.setattr(clusters.platform, 'python_version', lambda: '3.9.1')
    with (
        pytest.raises(ValueError, match=r'has Python 3\.\d+\.\d+ instead of 3\.9\.1'),
        jobs.connected(engine.address, None),
    ):
        pass


def test_a_folder_that_workers_do_not_share_is_refused(cluster, tmp_path, monkeypatch):
    def run():
        return jobs.run_all(
            deadly_pieces.refuse, [4, 6], 1, 'piece', cluster=cluster, folder=tmp_path
        )

    assert run() == [4, 6]
    assert list(tmp_path.iterdir()) == []
    # As if this process wrote to its own disk: workers do not find its marker file.
    monkeypatch.setattr(pathlib.Path, 'touch', lambda path: None)
    message = f'^{re.escape(str(tmp_path))}: a worker on .* expected a folder that all hosts share'
    with pytest.raises(ValueError, match=message):
        run()


@pytest.mark.parametrize(
    'address, file, message',
    [
        ('localhost:8786', None, 'expected tcp://HOST:PORT or tls://HOST:PORT'),
        ('tcp://a:1', 'file', 'pass one of --cluster and --cluster_file'),
        (None, 'nowhere.json', 'no file of a scheduler'),
        ('tcp://127.0.0.1:1', None, r'no Dask scheduler answers at tcp://127\.0\.0\.1:1 '),
    ],
)
def test_what_is_no_cluster_is_an_error(address, file, message, monkeypatch):
    monkeypatch.setattr(clusters, '_CONNECT_S', 1)
    with pytest.raises((ValueError, OSError), match=message), jobs.connected(address, file):
        pass


def test_without_the_flag_nothing_is_imported(command):
    code, out, errors = command(
        '-c',
        'import sys\n'
        'from dualcam import jobs\n'
        'from records import beamform, convert_array, convert_tagging, verify\n'
        'with jobs.connected(None, None) as cluster:\n'
        '    assert cluster is None\n'
        "print({'dask', 'distributed', 'cloudpickle'} & set(sys.modules))",
    )
    assert (code, out) == (0, 'set()\n'), errors
