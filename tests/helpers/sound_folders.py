"""Small folders of sound in the layouts of published data sets."""

import numpy as np
import soundfile


def tone(hz, seconds, rate_hz=22_050, channels=1):
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)
    return np.repeat(wave[:, None], channels, axis=1)


def write_esc(folder, folds=(1, 2, 3), classes=('rain', 'dog_bark'), takes=2, seconds=0.5):
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for fold in folds:
            for source in range(takes):
                for letter in 'AB':
                    path = folder / name / f'{fold}-{100 * fold + source}-{letter}.wav'
                    soundfile.write(path, tone(300 + 400 * number + 10 * source, seconds), 22_050)
    return folder


def write_dcase(folder):
    (folder / 'audio').mkdir(parents=True)
    (folder / 'evaluation_setup').mkdir()
    rows, lists = ['filename\tscene_label\tidentifier\tsource_label'], {'train': [], 'evaluate': []}
    for scene, hz in (('street_traffic', 200), ('metro', 900)):
        for place in range(6):
            name = f'audio/{scene}-{place}-0-a.wav'
            soundfile.write(
                folder / name, tone(hz + place, 0.4, 48_000, 2), 48_000, subtype='PCM_24'
            )
            rows.append(f'{name}\t{scene}\t{scene}-{place}\ta')
            if place < 5:  # the last one is in neither list
                lists['train' if place < 4 else 'evaluate'].append(f'{name}\t{scene}')
    (folder / 'meta.csv').write_text('\n'.join(rows) + '\n')
    (folder / 'evaluation_setup' / 'fold1_train.txt').write_text('\n'.join(lists['train']))
    (folder / 'evaluation_setup' / 'fold1_evaluate.txt').write_text(
        '\n'.join(line.split('\t')[0] for line in lists['evaluate'])
    )
    return folder
