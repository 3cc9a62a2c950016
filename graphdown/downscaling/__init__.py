"""The `downscale` command: a request, the job that it is resolved to, and the output."""
