from layout.circle.bad_a import OTHER

VALUE = OTHER
