"""Learning from acoustic images: teachers, one-microphone students, distillation."""

__version__ = '0.1.0'
