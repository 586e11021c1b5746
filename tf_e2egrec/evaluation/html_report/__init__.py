"""The report of a comparison as one HTML file: no script, nothing from outside, charts as inline SVG."""
