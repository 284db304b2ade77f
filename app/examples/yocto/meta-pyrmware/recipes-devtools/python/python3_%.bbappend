# With a static libpython the launcher is one file, and imports wait for their first use.
PACKAGECONFIG:append:class-target = " staticlibpython"
