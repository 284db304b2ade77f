from lazy.growing import *  # noqa: F403
