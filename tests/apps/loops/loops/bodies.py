"""Planets that attract each other: numbers, lists, a function of another module."""

import itertools
import math


def run(steps=2_000):
    bodies = [
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 39.5),
        ([4.8, -1.2, -0.1], [0.6, 2.8, -0.02], 0.04),
        ([8.3, 4.1, -0.4], [-1.0, 1.8, 0.008], 0.01),
        ([12.9, -15.1, -0.2], [1.1, 0.9, -0.01], 0.002),
        ([15.4, -25.9, 0.2], [1.0, 0.6, -0.03], 0.002),
    ]
    pairs = list(itertools.combinations(bodies, 2))
    for _ in range(steps):
        for (p, v, m), (q, w, n) in pairs:
            x, y, z = p[0] - q[0], p[1] - q[1], p[2] - q[2]
            square = x * x + y * y + z * z
            pull = 0.001 / (square * math.sqrt(square))
            for axis, distance in enumerate((x, y, z)):
                v[axis] -= distance * n * pull
                w[axis] += distance * m * pull
        for place, speed, _ in bodies:
            for axis in range(3):
                place[axis] += 0.001 * speed[axis]
    return round(bodies[0][0][0], 9)
