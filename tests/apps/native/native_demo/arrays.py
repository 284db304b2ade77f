import importlib.metadata
import importlib.util
import io
import os
import pickle
import sys

import numpy as np
from numpy.polynomial import Polynomial

from native_demo.checks import check


@check
def arithmetic():
    grid = np.arange(12).reshape(3, 4)
    yield grid[:, ::2].tolist(), grid.sum(axis=0).tolist(), (grid @ grid.T).tolist()
    yield np.array2string(np.linspace(0, 1, 5), precision=3), grid.astype("float32").dtype.str
    yield np.where(grid % 2, grid, -1).tolist(), np.bitwise_xor.reduce([1, 2, 4])
    with np.errstate(divide="raise"):
        try:
            np.array([1.0]) / 0
        except FloatingPointError as error:
            yield str(error)
    try:
        grid + np.ones(5)
    except ValueError as error:
        yield str(error)
    yield np.datetime64("2024-02-28") + np.timedelta64(2, "D"), np.char.upper(["a", "ü"]).tolist()


@check
def linear_algebra():
    """BLAS is a shared library beside the package, found through $ORIGIN."""
    matrix = np.array([[4.0, 1.0], [2.0, 3.0]])
    yield np.linalg.solve(matrix, [1, 2]).round(9).tolist(), round(float(np.linalg.det(matrix)), 9)
    yield np.linalg.eigvals(matrix).real.round(9).tolist(), np.linalg.matrix_rank(matrix)
    yield np.linalg.svd(matrix, compute_uv=False).round(9).tolist()
    yield np.fft.fft([1, 0, 0, 0]).tolist(), Polynomial([1, 2, 3])(2.0)
    try:
        np.linalg.inv(np.zeros((2, 2)))
    except np.linalg.LinAlgError as error:
        yield str(error), type(error).__module__


@check
def randomness():
    generator = np.random.default_rng(42)
    yield generator.integers(0, 100, 5).tolist(), generator.normal(size=2).round(9).tolist()
    np.random.seed(7)
    yield np.random.rand(2).round(9).tolist(), np.random.permutation(5).tolist()
    copied = pickle.loads(pickle.dumps(generator))
    yield (
        copied.integers(0, 1000) == generator.integers(0, 1000),
        type(copied.bit_generator).__name__,
    )


@check
def storage():
    record = np.array([(1, 2.5, "a")], dtype=[("id", "i4"), ("value", "f8"), ("unit", "U4")])
    for protocol in (2, 5):
        yield protocol, pickle.loads(pickle.dumps(record, protocol)).tolist(), record.dtype.names
    out = io.BytesIO()
    np.savez_compressed(out, a=np.eye(2), b=record)
    out.seek(0)
    with np.load(out) as archive:
        yield sorted(archive.files), archive["a"].tolist()
    yield np.genfromtxt(io.StringIO("1,2\n3,x"), delimiter=",").tolist()
    out = io.StringIO()
    np.savetxt(out, np.eye(2), fmt="%.1f")
    yield out.getvalue(), memoryview(np.arange(3, dtype="u1")).tobytes()


@check
def facts():
    """An extension module is a module like any other."""
    module = sys.modules["numpy._core._multiarray_umath"]
    suffix = importlib.metadata.version("numpy").split(".")[0]
    yield module.__name__, module.__spec__.name, module.__package__, suffix
    yield os.path.basename(module.__file__).split(".")[0], module.__file__.endswith(".so")
    yield os.path.basename(os.path.dirname(module.__file__)), module.__spec__.has_location
    yield type(module.__loader__).__name__ != "", module.__spec__.origin == module.__file__
    yield importlib.util.find_spec("numpy.linalg._umath_linalg").name
    yield importlib.util.find_spec("numpy.no_such_extension")
    yield np.get_include().endswith("include"), np.lib.stride_tricks.as_strided is not None
