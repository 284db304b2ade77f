from fleet.north.harbour import FULL

NEIGHBOUR = FULL
