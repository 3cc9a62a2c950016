"""Convolutional networks on a fixed box, as published, to be measured beside a graph network."""
