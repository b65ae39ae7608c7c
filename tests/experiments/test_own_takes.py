"""Takes of a user's own array, from a table of files to a table of results."""

import csv
import json

import numpy as np
import pytest
import soundfile

from tests.helpers import array_takes

RATE_HZ = 16_000
BANDS_HZ = {'hum': (300, 1500), 'hiss': (3000, 6000)}


@pytest.mark.slow
def test_own_takes_of_one_place_become_a_table(tmp_path, command, program, rng):
    with open(tmp_path / 'takes.csv', 'w', encoding='utf-8') as file:
        file.write('recording,class\n')
        for number in range(6):
            name = ('hum', 'hiss')[number % 2]
            signal = 0.1 * array_takes.noise(4 * RATE_HZ, rng, RATE_HZ, BANDS_HZ[name])
            place = rng.uniform(-20, 20, 2) * (1.0, 0.7)
            mics_m = array_takes.geometry_files.uma16().positions_m
            sound = array_takes.heard(signal, mics_m, place, rate_hz=RATE_HZ)
            soundfile.write(tmp_path / f'{number}.wav', sound, RATE_HZ, 'PCM_24')
            file.write(f'{number}.wav,{name}\n')
    code, out, errors = command(
        '-m',
        'records.convert_array',
        f'--takes={tmp_path}/takes.csv',
        '--array=uma16',
        f'--out={tmp_path}/records',
    )
    assert code == 0, errors
    assert '24 records written, 0 already existed' in out
    code, out, errors = program(
        'experiments/run_table3.py',
        f'--records={tmp_path}/records',
        f'--out={tmp_path}/results',
        '--preset=smoke',
    )
    assert code == 0, errors
    saved = json.loads((tmp_path / 'results/table3.json').read_text())
    assert 'own takes (takes.csv) with uma16' in saved['title'] and 'AVIA' not in out
    with open(tmp_path / 'results/table3.csv', newline='') as file:
        lines = [line for line in csv.DictReader(file) if line['accuracy']]
    assert {(line['train'], line['test']) for line in lines} == {('scenario_1', 'scenario_1')}
    assert {line['column'] for line in lines} == {'DualCamNet', 'G', 'D'}
    # One test take of each class: students take 4 s at once, teachers each second.
    assert all(line['takes'] == '2' for line in lines)
    assert np.all([0 <= float(line['accuracy']) <= 1 for line in lines])
