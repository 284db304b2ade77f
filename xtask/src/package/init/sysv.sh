#!/bin/sh
### BEGIN INIT INFO
# Provides:          @NAME@
# Required-Start:    $remote_fs $syslog
# Required-Stop:     $remote_fs $syslog
# Should-Start:      $network $time
# Should-Stop:       $network
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: @SUMMARY@
### END INIT INFO

# The short options are those that Debian's start-stop-daemon and BusyBox's have in common.
pid=/run/@NAME@.pid

start() {
    if [ -r /etc/@NAME@/environment ]; then
        set -a
        . /etc/@NAME@/environment
        set +a
    fi
@FOLDERS@
    start-stop-daemon -S -q -o -b -m -p "$pid" -c @OWNER@ -x @COMMAND@ --@ARGUMENTS@
}

stop() {
    # Not by its program, which an upgrade has replaced.
    start-stop-daemon -K -q -o -p "$pid" -R @STOP@ && rm -f "$pid"
}

runs() {
    [ -r "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null
}

case "$1" in
    start) start ;;
    stop) stop ;;
    restart|force-reload) stop && start ;;
    try-restart) if runs; then stop && start; fi ;;
    status)
        if runs; then
            echo "@NAME@ is running"
        else
            echo "@NAME@ is not running"
            exit 3
        fi
        ;;
    *)
        echo "usage: $0 start|stop|restart|force-reload|try-restart|status" >&2
        exit 2
        ;;
esac
