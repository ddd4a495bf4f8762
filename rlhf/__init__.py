"""RLHF suite: learning from human feedback, from instruction data to a policy that people prefer."""

__version__ = "0.1.0"
