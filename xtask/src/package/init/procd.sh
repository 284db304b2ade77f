#!/bin/sh /etc/rc.common

USE_PROCD=1
START=95
STOP=10

start_service() {
@FOLDERS@
    procd_open_instance
    procd_set_param command @COMMAND@@ARGUMENTS@
    procd_set_param user @USER@
    procd_set_param no_new_privs 1
    # However often it fails: a device has nobody to start it.
    procd_set_param respawn 3600 @RESTART@ 0
    procd_set_param term_timeout @STOP@
    procd_set_param stdout 1
    procd_set_param stderr 1
    if [ -r /etc/@NAME@/environment ]; then
        while read -r line; do
            case "$line" in
                [A-Za-z_]*=*) procd_append_param env "$line" ;;
            esac
        done < /etc/@NAME@/environment
        procd_set_param file /etc/@NAME@/environment
    fi
    procd_close_instance
}
