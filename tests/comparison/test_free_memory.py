import os
import sys

import numpy as np
import pytest

from tf_e2egrec.comparison.free_memory import free_memory, held_memory, peak_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def test_what_is_free_is_less_than_there_is():
    assert 0 < free_memory() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_process_holds_what_it_wrote_to():
    before = held_memory([os.getpid()])
    held = np.ones(16 << 20)  # 128 MiB
    assert held_memory([os.getpid()]) - before > held.nbytes // 2
    assert held_memory([os.getpid()] * 2) > before * 2
    assert held_memory([]) == held_memory([2**22 + 1]) == 0  # no process has this number


def test_peak_memory_follows_what_was_held():
    before = peak_memory()
    held = np.ones(
        before // 8 + (64 << 17)
    )  # as much again, and 64 MiB: beyond the peak whatever is free below it
    after = peak_memory()
    assert after - before > held.nbytes // 4


def test_pages_of_mapped_files_are_not_held(tmp_path):
    path = tmp_path / "mapped"
    np.zeros(8 << 20).tofile(path)  # 64 MiB
    peak, held = peak_memory(), held_memory([os.getpid()])
    mapped = np.memmap(path)
    assert int(mapped.sum()) == 0  # every page is read
    assert peak_memory() - peak < mapped.nbytes // 2
    assert held_memory([os.getpid()]) - held < mapped.nbytes // 2
