"""A check is a generator: each value that it yields is one line of output."""

GROUPS = {}


def check(function):
    group = function.__module__.rpartition(".")[2]
    GROUPS.setdefault(group, []).append(function)
    return function


def run(groups):
    """Print every value; the result is the exit code."""
    failed = False
    for group in groups:
        for function in GROUPS[group]:
            name = f"{group}.{function.__name__}"
            try:
                for value in function():
                    print(f"{name}: {value!a}", flush=True)
            except Exception as error:
                failed = True
                print(f"{name}: !! {type(error).__name__}: {error}", flush=True)
    return int(failed)
