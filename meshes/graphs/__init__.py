"""Graphs from source grid over mesh to target grid."""
