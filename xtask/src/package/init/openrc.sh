#!/sbin/openrc-run

name=@NAME@
description=@QUOTED_SUMMARY@
supervisor=supervise-daemon
command=@COMMAND@
command_args=@QUOTED_ARGUMENTS@
command_user=@OWNER@
respawn_delay=@RESTART@
respawn_max=0
retry=TERM/@STOP@/KILL/5
supervise_daemon_args=--no-new-privs
output_logger="logger -t @NAME@"
error_logger="logger -t @NAME@"

depend() {
    use net logger
    after firewall
}

start_pre() {
    if [ -r /etc/@NAME@/environment ]; then
        set -a
        . /etc/@NAME@/environment
        set +a
    fi
@FOLDERS@
}
