VALUE = "made on demand"
