from __future__ import annotations


class Named:
    pass


class Below:
    named: Named
