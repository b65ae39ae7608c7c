"""The live view with replay: maps, sliders, takes, refusals; disconnecting devices; the page."""

import contextlib
import csv
import json
import socket
import subprocess
import sys
import threading
import time
import types
import urllib.error
import urllib.request

import numpy as np
import pytest
import soundfile
import threadpoolctl

pytest.importorskip('starlette', reason='pip install "dualcam[live]"')
pytest.importorskip('uvicorn')
pytest.importorskip('websockets')
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync import client

from dualcam.acoustics import geometry_files, localisation, maps, recordings, views
from dualcam.cli import main
from dualcam.live import engine, server, sound_sources, take_recorder
from records.array_takes import read_takes
from tests.helpers import array_takes, array_videos, browser, checkout, served_pages
from tests.proofs import live_hours

PLACE = (20.0, 10.0)
RATE_HZ = 16_000
VIEW = views.View()


@pytest.fixture(scope='module')
def take(tmp_path_factory):
    """A take of 3 s, and a video that browsers play."""
    folder = tmp_path_factory.mktemp('take')
    sound = array_takes.uma16_take([PLACE], 3.0, np.random.default_rng(7), RATE_HZ)
    soundfile.write(folder / 'take.wav', sound, RATE_HZ, 'PCM_24')
    array_videos.write_video(
        folder / 'take.webm', (320, 240), 10, 3.0, VIEW.places(views.direction(*PLACE))
    )
    return folder


def _engine(take, folder=None, student=None, publish=lambda message: None, **options):
    source = sound_sources.Replay(recordings.open_recording(take / 'take.wav'), **options)
    recorder = take_recorder.TakeRecorder(folder, RATE_HZ, 16) if folder else None
    return engine.Engine(
        source,
        geometry_files.uma16(),
        VIEW,
        maps.MapParams(),
        localisation.PeakParams(),
        student,
        recorder,
        publish,
    )


@contextlib.contextmanager
def _served(take, folder=None, video=None, **options):
    """Address of a live view that runs inside this context."""
    student = options.pop('student', None)
    running = _engine(take, folder, student)
    live = server.Live(running, video=video, **options)
    with served_pages.served(live.app) as bound:
        yield served_pages.host_and_port(bound)


def _message(data):
    size = int.from_bytes(data[:4], 'little')
    header = json.loads(data[4 : 4 + size])
    level = np.frombuffer(data[4 + size :], '<i2').reshape(header['rows'], header['cols'])
    return header, level / 100


def _next_map(page, accept=lambda header: True, timeout_s=30):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        data = page.recv(timeout=timeout_s)
        if isinstance(data, bytes):
            header, level = _message(data)
            if header['rows'] and accept(header):
                return header, level
    raise AssertionError('no such map came')


def _ask(page, kind, **values):
    page.send(json.dumps({'ask': kind, 'values': values}))
    while isinstance(answer := page.recv(timeout=30), bytes):
        pass
    return json.loads(answer)


def _get(address, **headers):
    return urllib.request.urlopen(urllib.request.Request(f'http://{address}', headers=headers))


def test_maps_of_a_replay_peak_where_the_source_is(take):
    with _served(take) as address, client.connect(f'ws://{address}/maps') as page:
        for _ in range(5):
            header, level = _next_map(page)
            row, col = np.unravel_index(level.argmax(), level.shape)
            x, y = VIEW.places(views.direction(*PLACE)) * [48, 36] - 0.5
            assert abs(row - y) < 1 and abs(col - x) < 1
            (peak,) = header['peaks']
            assert peak['azimuth_deg'] == pytest.approx(PLACE[0], abs=0.6)
            assert peak['elevation_deg'] == pytest.approx(PLACE[1], abs=0.6)
            assert header['gain_db'] > 8 and header['state'] == ''
            assert 0 <= 1000 * time.time() - header['heard_ms'] < 5000


def _blas_threads():
    return [
        one['num_threads'] for one in threadpoolctl.threadpool_info() if one['user_api'] == 'blas'
    ]


def test_idle_threads_do_not_spin_between_maps(take):
    seen, shown = [], threading.Event()

    def publish(message):
        seen.append(_blas_threads())
        shown.set()

    before = _blas_threads()
    running = _engine(take, publish=publish, loop=True)
    running.start()
    try:
        assert shown.wait(60)
    finally:
        running.stop()
    assert set(seen[0]) == {1}
    assert _blas_threads() == before


def test_maps_that_come_late_get_all_threads(take):
    seen, wanted = [], threading.Event()
    before = _blas_threads()

    def publish(message):
        header, _ = message.packed()
        seen.append((header['late'], _blas_threads()))
        if header['late'] and seen[-1][1] == before:
            wanted.set()
        until = time.thread_time() + 0.3  # of a map of a twelfth of a second
        while time.thread_time() < until:
            pass

    running = _engine(take, publish=publish, loop=True)
    running.start()
    try:
        assert wanted.wait(60), seen
    finally:
        running.stop()
    assert all(set(threads) == {1} for late, threads in seen if not late)
    assert _blas_threads() == before


def test_sliders_change_the_maps_and_nonsense_is_told(take):
    with _served(take) as address, client.connect(f'ws://{address}/maps') as page:
        whole, _ = _next_map(page)
        assert _ask(page, 'change', low_hz=2000, high_hz=2500, method='diagonal') == {
            'answer': 'changed'
        }
        part, _ = _next_map(page, lambda header: header['low_hz'] == 2000)
        assert (part['high_hz'], part['method']) == (2500, 'diagonal')
        # A tenth of the source's band is audible.
        assert part['top_db'] - whole['top_db'] == pytest.approx(-10, abs=2)
        assert _ask(page, 'change', focus_m=0, dynamic_range_db=12)['answer'] == 'changed'
        far, _ = _next_map(page, lambda header: header['focus_m'] == 0)
        assert far['dynamic_range_db'] == 12
        for values in (
            {'low_hz': 5000, 'high_hz': 100},
            {'low_hz': 'x'},
            {'low_hz': float('nan')},
            {'method': 'clean-sc'},
            {'dynamic_range_db': -1},
            {'maps_per_s': 1e9},
            {},
        ):
            assert _ask(page, 'change', **values)['answer'] == 'error'
        for text in ('', '[]', '{"ask": 1}', '{"ask": "change", "values": 3}', '[' * 5000):
            page.send(text)
            while isinstance(answer := page.recv(timeout=30), bytes):
                pass
            assert json.loads(answer)['answer'] == 'error'
        assert _ask(page, 'record', **{'class': 'a'})['message'].endswith('--out=DIR')
        assert _next_map(page)[0]['low_hz'] == 2000


def test_a_recorded_take_is_one_that_convert_array_reads(take, tmp_path):
    with _served(take, tmp_path) as address, client.connect(f'ws://{address}/maps') as page:
        _next_map(page)
        assert _ask(page, 'record', **{'class': ' '})['answer'] == 'error'
        began = time.time()
        assert _ask(page, 'record', **{'class': 'hiss', 'place': 'hall'})['take'] == 'take_001'
        assert 'is already being recorded' in _ask(page, 'record', **{'class': 'b'})['message']
        header, _ = _next_map(page, lambda one: one['recording'].get('seconds', 0) > 1.0)
        assert header['recording']['name'] == 'take_001'
        assert _ask(page, 'stop') == {'answer': 'recorded', 'take': 'take_001'}
        lasted = time.time() - began
        assert _ask(page, 'stop')['take'] is None
        video = (take / 'take.webm').read_bytes()
        request = urllib.request.Request(
            f'http://{address}/takes/take_001/video?began_ms={1000 * (began + 0.2)}',
            video,
            {'Content-Type': 'video/webm'},
        )
        with urllib.request.urlopen(request) as answer:
            offset_s = json.load(answer)['video_offset_s']
        assert abs(offset_s - 0.2) < 1.0
        for bad in ('take_002/video?began_ms=0', '../x/video', 'take_001/video'):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(
                    urllib.request.Request(f'http://{address}/takes/{bad}', b'x')
                )
        assert _ask(page, 'record', **{'class': 'hum'})['take'] == 'take_002'
        _next_map(page, lambda one: one['recording'].get('seconds', 0) > 0.3)
        # The server stops, which ends the take.
    sound, rate_hz = soundfile.read(tmp_path / 'take_001.wav')
    assert sound.shape[1] == 16 and rate_hz == RATE_HZ
    assert 1.0 < len(sound) / RATE_HZ < lasted + 1.0
    table = read_takes(tmp_path / 'takes.csv')
    assert table.classes == ('hiss', 'hum') and len(table.takes) == 2
    assert table.takes[0].video == tmp_path / 'take_001.webm'
    assert table.takes[0].video_offset_s == offset_s and table.takes[1].video is None
    # The recording equals the replayed sound, wherever in it recording began.
    original, _ = soundfile.read(take / 'take.wav')
    line = np.correlate(np.tile(original[:, 3], 2), sound[:4000, 3], 'valid')
    begin = int(line.argmax()) % len(original)
    np.testing.assert_allclose(
        sound[:4000, 5], np.tile(original[:, 5], 2)[begin : begin + 4000], atol=1e-6
    )


def test_only_pages_of_its_own_are_served(take):
    with _served(take) as address:
        assert 'DualCam' in _get(address).read().decode()
        assert json.load(_get(f'{address}/about.json'))['channels'] == 16
        for headers in ({'Host': 'evil.example'}, {'Origin': 'http://evil.example'}):
            with pytest.raises(urllib.error.HTTPError, match='403'):
                _get(address, **headers)
        for path in ('page/../server.py', 'page/%2e%2e/server.py', 'video'):
            with pytest.raises(urllib.error.HTTPError, match='404'):
                _get(f'{address}/{path}')
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            client.connect(f'ws://{address}/maps', origin='http://evil.example').recv()


def test_a_token_is_asked_for(take):
    with _served(take, token='würde') as address:
        for path in ('', '?token=', '?token=wrong', 'about.json'):
            with pytest.raises(urllib.error.HTTPError, match='403'):
                _get(f'{address}/{path}')
        answer = _get(f'{address}/?token=w%C3%BCrde')
        assert answer.status == 200


def test_a_taken_port_is_told(take, capsys):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        call = ['live', '--array=uma16', f'--replay={take / "take.wav"}', f'--port={port}']
        assert main.main(call) == 1
    assert f'cannot listen on 127.0.0.1:{port} (' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--host=0.0.0.0',), 'could look and listen; protect it with --token=WORD'),
        (('--array=dualcam',), '16 channels, but the array'),
        (('--video=none.webm',), 'none.webm: no such file'),
        (('--band=1,2',), 'contains 0 frequencies'),
    ],
)
def test_mistakes_are_told_before_anything_is_served(take, capsys, options, message):
    call = ['live', '--array=uma16', f'--replay={take / "take.wav"}', '--port=0', *options]
    assert main.main(call) == 1
    assert message in capsys.readouterr().err


def test_what_is_not_taken_in_time_is_dropped_and_counted():
    queue = sound_sources.BlockQueue(0.05)
    for number in range(12):
        queue.put(sound_sources.Block(np.zeros((4, 2), np.float32), 4 * number, 0.0))
    assert queue.dropped == 7 and queue.waiting_s == pytest.approx(0.05)
    assert [queue.take(0).position for _ in range(5)] == [28, 32, 36, 40, 44]
    assert queue.take(0.01) is None


def test_dropped_sound_is_silence_in_a_take(tmp_path):
    recorder = take_recorder.TakeRecorder(tmp_path, 1000, 2)
    recorder.start('a')
    recorder.add(np.full((10, 2), 0.5, np.float32), 100, 5.0)
    recorder.add(np.full((10, 2), 0.25, np.float32), 140, 5.1)
    assert recorder.state == {'name': 'take_001', 'seconds': 0.05, 'gaps': 1}
    recorder.stop()
    sound, _ = soundfile.read(tmp_path / 'take_001.wav')
    np.testing.assert_allclose(sound[:, 0], [0.5] * 10 + [0.0] * 30 + [0.25] * 10, atol=1e-6)
    recorder.start('b')
    assert recorder.stop() is None and not (tmp_path / 'take_002.wav').exists()


class _FakeSound(types.ModuleType):
    """A python-sounddevice whose device is unplugged after a while and comes back."""

    class PortAudioError(Exception):
        pass

    def __init__(self):
        super().__init__('sounddevice')
        self.there, self.opened = True, 0

    def query_devices(self, wanted=None, kind=None):
        found = {
            'index': 3,
            'name': 'UMA16v2',
            'max_input_channels': 18 if self.there else 0,
            'default_samplerate': 16_000.0,
        }
        if kind is None:
            return [found]
        if not self.there or wanted not in (None, 3, 'UMA'):
            raise ValueError('no such device')
        return found

    def _terminate(self):
        pass

    def _initialize(self):
        pass

    def InputStream(self, callback, blocksize, channels, **settings):
        fake = self
        fake.opened += 1

        class Stream:
            active = True

            def __enter__(self):
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
                return self

            def __exit__(self, *_):
                self.active = False
                self._thread.join()

            def _run(self):
                for number in range(30):
                    if not self.active:
                        return
                    data = np.tile(np.arange(channels, dtype=np.float32), (blocksize, 1))
                    status = types.SimpleNamespace(input_overflow=number == 5)
                    callback(data, blocksize, None, status)
                    time.sleep(0.005)
                self.active = False
                fake.there = fake.opened > 1

        return Stream()


def test_an_unplugged_device_is_reported_and_waited_for(monkeypatch):
    fake = _FakeSound()
    monkeypatch.setattr(sound_sources, '_sounddevice', lambda: fake)
    monkeypatch.setattr(sound_sources, '_WAIT_S', 0.05)
    source = sound_sources.Device('UMA', '16-1')
    assert (source.rate_hz, source.num_channels, source.name) == (16_000, 16, 'UMA16v2')
    queue, stopped = sound_sources.BlockQueue(30), threading.Event()
    tee = sound_sources.Tee(queue)
    thread = threading.Thread(target=source.run, args=(tee, stopped))
    thread.start()
    deadline = time.monotonic() + 20
    while 'is disconnected' not in source.state and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (
        source.state == 'UMA16v2 is disconnected (not found); waiting for it'
        or 'no more' in source.state
    )
    fake.there = True
    while fake.opened < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.4)
    stopped.set()
    thread.join(10)
    assert fake.opened >= 2 and tee.lost >= 2
    first = queue.take(1)
    np.testing.assert_array_equal(first.samples[0], np.arange(15, -1, -1))
    positions = [first.position]
    while (block := queue.take(0.01)) is not None:
        positions.append(block.position)
    assert len(positions) > 40 and set(np.diff(positions)) == {160}


def test_a_device_that_is_not_there_is_told(monkeypatch):
    fake = _FakeSound()
    monkeypatch.setattr(sound_sources, '_sounddevice', lambda: fake)
    with pytest.raises(ValueError, match=r'no sound device ReSpeaker; there are 3: UMA16v2 \(18'):
        sound_sources.Device('ReSpeaker')


def test_a_student_says_what_a_source_is(take):
    student = types.SimpleNamespace(
        classes=('hum', 'hiss'),
        seconds=0.5,
        sample_rate_hz=16_000,
        clip_samples=8000,
        listen=lambda layer: lambda clips: np.tile([[0.0, 2.0]], (len(clips), 1)),
        probabilities=lambda logits: np.exp(logits) / np.exp(logits).sum(),
    )
    with _served(take, student=student) as address, client.connect(f'ws://{address}/maps') as page:
        header, _ = _next_map(page, lambda one: one['peaks'] and one['peaks'][0]['class'])
        assert header['peaks'][0]['class'] == 'hiss'
        assert header['peaks'][0]['probability'] == pytest.approx(0.88, abs=0.01)


def test_an_end_of_a_replay_is_said(take):
    said = []
    running = _engine(take, publish=said.append, pace=4.0, loop=False)
    running.start()
    deadline = time.monotonic() + 30
    while not (said and said[-1].header['state']) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.stop()
    assert said[-1].header['state'] == 'the recording has ended' and running.cpu_s > 0


def _replayed(heard_s, kept=0):
    """Results of `live_hours.replay` in a separate process, whose memory nothing else uses.

    Args:
        heard_s: seconds of sound, at five times real time.
        kept: number of values of each message that a deliberate leak retains.
    """
    program = (
        'import dataclasses, json, numpy as np\n'
        'from tests.proofs import live_hours\n'
        'held = []\n'
        f'outcome = live_hours.replay({heard_s}, 5.0, lambda _: held.append(np.ones({kept})))\n'
        'print(json.dumps(dataclasses.asdict(outcome)))'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=checkout.ROOT, check=True, capture_output=True
    )
    return live_hours.Outcome(**json.loads(done.stdout.splitlines()[-1]))


def test_memory_stays_where_it_is():
    """`tests/proofs/live_hours.py` at small scale: some MiB of growth, barely warmed up."""
    outcome = _replayed(60.0)
    assert outcome.largest_mib - outcome.warm_mib < 40, outcome
    assert outcome.shown > 120 and outcome.takes > 0, outcome


def test_a_growing_memory_is_seen():
    outcome = _replayed(30.0, kept=1 << 17)
    assert outcome.largest_mib - outcome.warm_mib > 60, outcome


@pytest.mark.slow
def test_the_page_shows_the_source_and_its_sliders_act(take, tmp_path):
    with (
        _served(take, tmp_path, video=take / 'take.webm') as address,
        browser.opened() as driver,
    ):
        driver.get(f'http://{address}/')

        def wait_for(script, timeout_s=60):
            end = time.monotonic() + timeout_s
            while not (found := driver.execute_script(f'return {script}')):
                assert time.monotonic() < end, (script, browser.text_with(driver, [], 0))
                time.sleep(0.2)
            return found

        wait_for('window.dualcam?.count > 20')
        # Where the displayed map is reddest, in the picture's own coordinates.
        x, y = driver.execute_script(
            """
            const canvas = document.getElementById('map'), {width, height} = canvas;
            const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
            let best = 0;
            for (let i = 3; i < data.length; i += 4) if (data[i] > data[best + 3]) best = i - 3;
            const row = Math.floor(best / 4 / width);
            return [(best / 4 % width + 0.5) / width, (row + 0.5) / height];
            """
        )
        np.testing.assert_allclose((x, y), VIEW.places(views.direction(*PLACE)), atol=0.03)
        words = ['take.wav, 16 channels', 'live', 'from 900 Hz', '6400', 'sum']
        text = browser.text_with(driver, words)
        assert [word for word in words if word not in text] == []
        assert driver.execute_script('return dualcam.header.peaks[0].source') >= 1
        for slider, share, check in (
            ('low', 0.7, 'dualcam.header.low_hz > 1500'),
            ('range', 12, 'dualcam.header.dynamic_range_db == 12'),
            ('focus', 1, 'dualcam.header.focus_m == 0'),
        ):
            driver.execute_script(
                'const one = document.getElementById(arguments[0]); one.value = arguments[1];'
                "one.dispatchEvent(new Event('input'))",
                slider,
                share,
            )
            wait_for(check)
        driver.execute_script(
            "document.getElementById('take_class').value = 'hiss';"
            "document.getElementById('record').click()"
        )
        wait_for('dualcam.header.recording.seconds > 2')  # a few pictures, also on a busy machine
        browser.keep(driver, 'live')
        driver.execute_script("document.getElementById('record').click()")
        wait_for("dualcam.listed == 'take_001'")
        assert 'take_001.wav + video: hiss' in driver.find_element('id', 'takes').text
        assert browser.errors(driver) == []
    with open(tmp_path / 'takes.csv', newline='', encoding='utf-8') as file:
        (row,) = csv.DictReader(file)
    assert row['class'] == 'hiss' and (tmp_path / row['video']).stat().st_size > 1000
    assert soundfile.info(tmp_path / row['recording']).channels == 16
