"""Locks, and waiting for them."""

import threading

from dualcam.files import locking


def test_a_locked_folder_is_waited_for_and_stays_empty(tmp_path, capsys):
    order = []

    def second():
        with locking.held_folder(tmp_path / 'cache', 'packs records') as waited:
            order.append(('second', waited))

    with locking.held_folder(tmp_path / 'cache', 'packs records') as waited:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.8)
        order.append(('first', waited))
    thread.join(30)
    assert order == [('first', False), ('second', True)]
    said = f'waiting: another process packs records: {tmp_path / "cache"}\n'
    assert capsys.readouterr().err == said and not list((tmp_path / 'cache').iterdir())


def test_a_file_system_that_cannot_lock_folders_is_worked_on_without(tmp_path, monkeypatch):
    def cannot(*_):
        raise OSError(9, 'bad file descriptor')

    monkeypatch.setattr(locking.fcntl, 'flock', cannot)
    with locking.held_folder(tmp_path, 'packs records') as waited:
        assert not waited
