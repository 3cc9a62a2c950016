"""HTML pages, charts, maps and colours that all reports share."""
