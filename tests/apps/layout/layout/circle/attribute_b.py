import layout.circle.attribute_a as first

VALUE = first.OTHER
