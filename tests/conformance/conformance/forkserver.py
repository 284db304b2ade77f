"""The tests of multiprocessing with the start method "forkserver".

Interpreters that have all tests but `test.test_multiprocessing_forkserver` are common.
"""

from test import _test_multiprocessing

_test_multiprocessing.install_tests_in_module_dict(globals(), "forkserver")
