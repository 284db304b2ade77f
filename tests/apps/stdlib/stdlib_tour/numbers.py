"""Numbers, containers and hashes. Its name shadows a module of the library, within the package."""

import bisect
import cmath
import collections
import colorsys
import decimal
import fractions
import functools
import graphlib
import hashlib
import heapq
import hmac
import itertools
import math
import operator
import random
import secrets
import statistics
import uuid
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Number

from stdlib_tour.checks import check


@check
def decimals():
    with decimal.localcontext() as context:
        context.prec = 30
        yield Decimal(2).sqrt(), Decimal("1.1") + 1, Decimal("NaN").is_nan()
        try:
            Decimal(1) / 0
        except decimal.DivisionByZero as error:
            yield type(error).__mro__[1].__name__
    yield (
        round(Decimal("2.675"), 2),
        Decimal("1E+3").to_eng_string(),
        isinstance(Decimal(1), Number),
    )
    yield Fraction(0.75), Fraction("1/3") + Fraction(1, 6), Fraction(math.pi).limit_denominator(100)
    yield fractions.Fraction(3, 2) ** 2, isinstance(True, Integral), complex(1, 2) ** 2


@check
def mathematics():
    yield math.comb(10, 3), math.isqrt(10**20), math.fsum([0.1] * 10), math.gcd(12, 18)
    yield cmath.phase(-1), math.dist((0, 0), (3, 4)), math.nextafter(1, 2), 2**200
    yield colorsys.rgb_to_hsv(0.5, 0.25, 0.75), float.fromhex("0x1.8p1"), (0.1).as_integer_ratio()
    yield (
        statistics.mean([1, 2, 4]),
        statistics.stdev([1, 2, 4]),
        statistics.quantiles([1, 2, 3, 4]),
    )
    yield statistics.linear_regression([1, 2, 3], [2, 4, 6]), statistics.NormalDist(0, 1).cdf(1)
    try:
        int("9" * 5000)
    except ValueError as error:
        yield str(error)


@check
def randomness():
    generator = random.Random(42)
    yield generator.random(), generator.randrange(1000), generator.sample(range(50), 5)
    yield generator.choices("abc", [1, 2, 3], k=5), generator.gauss(0, 1), generator.randbytes(4)
    random.seed("text")
    values = list(range(8))
    random.shuffle(values)
    yield values, len(secrets.token_hex(8)), secrets.compare_digest("a", "a")


@check
def hashes():
    for name in sorted(hashlib.algorithms_guaranteed):
        digest = hashlib.new(name, b"data")
        yield name, digest.hexdigest(16) if "shake" in name else digest.hexdigest()
    yield hmac.new(b"key", b"message", "sha256").hexdigest(), hmac.digest(b"k", b"m", "sha1").hex()
    yield hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1000).hex()
    yield hashlib.scrypt(b"password", salt=b"salt", n=16, r=8, p=1, dklen=16).hex()
    yield hashlib.blake2s(b"x", key=b"key", digest_size=8).hexdigest(), hash(1.5), hash((1, 2))
    yield uuid.uuid5(uuid.NAMESPACE_DNS, "example.com"), uuid.uuid3(uuid.NAMESPACE_URL, "x")
    yield uuid.uuid4().version, uuid.uuid1().variant, uuid.UUID(int=5)


@check
def containers():
    yield collections.Counter("abracadabra").most_common(2), collections.OrderedDict(a=1)
    yield collections.deque(range(5), 3), collections.ChainMap({"a": 1}, {"a": 2, "b": 3})["b"]
    yield collections.namedtuple("Pair", "left right")(1, 2), collections.defaultdict(list, a=1)
    heap = [5, 1, 4]
    heapq.heapify(heap)
    yield heapq.heappop(heap), heapq.nlargest(2, [3, 1, 2]), bisect.bisect([1, 3, 5], 3)
    yield list(itertools.accumulate([1, 2, 3])), list(itertools.pairwise("abc"))
    yield [(key, list(group)) for key, group in itertools.groupby("aabc")]
    yield functools.reduce(operator.mul, range(1, 6)), operator.itemgetter(1, 0)("ab")
    yield list(graphlib.TopologicalSorter({"c": ["b"], "b": ["a"]}).static_order())
