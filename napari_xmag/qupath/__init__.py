"""Files of QuPath: objects read and written, projects, and a script that runs inside it.

`regions` reads annotations as the regions to analyze, `labelled_regions` as examples of classes;
`project` reads and amends a project; `install` puts the script into QuPath's user folder. What an
analysis hands to QuPath is written by `napari_xmag.export.geojson`.
"""
