include $(sort $(wildcard $(BR2_EXTERNAL_PYRMWARE_PATH)/package/*/*.mk))
