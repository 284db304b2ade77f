from ...plugins.count import NAME

VALUE = f"deep {NAME}"
