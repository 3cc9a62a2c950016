"""The `downscale` command: from a request over a job to the output."""
