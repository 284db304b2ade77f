"""Clocks and calendars."""

import calendar
import datetime
import email.utils
import os
import sched
import time
import zoneinfo
from datetime import timedelta, timezone

from stdlib_tour.checks import check

SOME_TIME = datetime.datetime(2024, 2, 29, 23, 59, 58, 123456, tzinfo=timezone.utc)  # noqa: UP017 (no datetime.UTC in 3.10)


@check
def parsing():
    # C code imports _strptime here, which imports locale and calendar.
    yield datetime.datetime.strptime("29 Feb 2024 23:59:58 +0130", "%d %b %Y %H:%M:%S %z")
    yield time.strptime("Thursday 2024", "%A %Y")[:3], datetime.date.fromisoformat("2024-02-29")
    yield datetime.datetime.fromisoformat("2024-02-29T23:59:58.123456+00:00") == SOME_TIME
    try:
        datetime.datetime.strptime("30 Feb", "%d %B")
    except ValueError as error:
        yield str(error)


@check
def arithmetic():
    yield SOME_TIME + timedelta(days=1, seconds=2), SOME_TIME.isocalendar(), SOME_TIME.timestamp()
    yield SOME_TIME.strftime("%a %d %b %Y %j %U %p %%"), f"{SOME_TIME:%H-%M}", SOME_TIME.ctime()
    yield repr(timedelta(days=-1, microseconds=5)), str(timedelta(hours=100)), SOME_TIME
    yield (
        calendar.month(2024, 2),
        calendar.monthrange(2024, 2),
        calendar.timegm((1970, 1, 2) + (0,) * 6),
    )
    yield (
        email.utils.format_datetime(SOME_TIME),
        email.utils.parsedate_tz("Thu, 29 Feb 2024 1:2:3 +1"),
    )


@check
def zones():
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    for month in (1, 7):
        local = datetime.datetime(2024, month, 1, 12, tzinfo=berlin)
        yield local, local.tzname(), local.dst(), local.astimezone(zoneinfo.ZoneInfo("Asia/Tokyo"))
    yield datetime.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=berlin).utcoffset(), berlin
    try:
        zoneinfo.ZoneInfo("No/Where")
    except zoneinfo.ZoneInfoNotFoundError as error:
        yield str(error)


@check
def local_zone():
    before = os.environ.get("TZ")
    os.environ["TZ"] = "EST5EDT,M3.2.0,M11.1.0"
    time.tzset()
    yield time.tzname, time.timezone, time.localtime(0)[:6], time.strftime("%Z", time.localtime(0))
    yield datetime.datetime.fromtimestamp(0).astimezone().isoformat()
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


@check
def clocks():
    yield time.monotonic() <= time.monotonic(), time.get_clock_info("monotonic").monotonic
    yield time.process_time_ns() > 0, time.thread_time() >= 0
    seen = []
    scheduler = sched.scheduler()
    for delay in (0.02, 0.01):
        scheduler.enter(delay, 1, seen.append, (delay,))
    scheduler.run()
    yield seen
