"""Training with Lightning: configuration, data, steps, callbacks, and the run as a whole.

Importing this package is light; ``seqmelody.training.run`` imports torch and Lightning.
"""
