import os
import sys

import numpy as np
import pytest

from tf_e2egrec.comparison.free_memory import free_memory, held_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def test_what_is_free_is_less_than_there_is():
    assert 0 < free_memory() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_process_holds_what_it_wrote_to():
    before = held_memory([os.getpid()])
    held = np.ones(16 << 20)  # 128 MiB
    assert held_memory([os.getpid()]) - before > held.nbytes // 2
    assert held_memory([os.getpid()] * 2) > before * 2
    assert held_memory([]) == held_memory([2**22 + 1]) == 0  # no process has this number
