"""The tests of multiprocessing with the start method "fork".

Interpreters that have all tests but `test.test_multiprocessing_fork` are common.
"""

from test import _test_multiprocessing

_test_multiprocessing.install_tests_in_module_dict(globals(), "fork")
