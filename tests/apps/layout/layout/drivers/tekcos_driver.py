KIND = "socket"
