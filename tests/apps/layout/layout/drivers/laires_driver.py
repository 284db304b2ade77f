KIND = "serial"
