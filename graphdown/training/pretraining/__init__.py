"""Pretraining: masked reconstruction of source fields, without a target."""
