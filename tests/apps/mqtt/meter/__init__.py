"""A meter that publishes its readings to an MQTT broker."""
