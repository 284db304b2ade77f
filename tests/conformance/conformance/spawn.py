"""The tests of multiprocessing with the start method "spawn".

Interpreters that have all tests but `test.test_multiprocessing_spawn` are common.
"""

from test import _test_multiprocessing

_test_multiprocessing.install_tests_in_module_dict(globals(), "spawn")
