"""Sizes that no slide has: what declares more is refused before anything is read or allocated."""

# 1.5 m at 0.7 µm per pixel.
LONGEST_SIDE = 2**21
# 524,288 × 524,288 px, 800 GB as plain RGB; the largest glass at 0.25 µm per pixel has a third.
MOST_PIXELS = 2**38
# A tile is decoded whole: 8192 × 8192 px take 200 MB.
MOST_TILE_PIXELS = 2**26
MOST_SEGMENTS = 2**26
MOST_PLANES = 256
# No slide has more pictures and levels than this.
MOST_DIRECTORIES = 4096


def size_problem(width: int, height: int, tile_width: int = 0, tile_height: int = 0) -> str:
    """Return why a picture of that size cannot be a slide; empty when it can.

    Parameters
    ----------
    width, height
        In pixels.
    tile_width, tile_height
        Of its tiles in pixels; 0 where it has none.
    """
    if min(width, height) < 1:
        return f"an image of {width}×{height} pixels"
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        return (
            f"an image of {width:,}×{height:,} pixels (the limit is {LONGEST_SIDE:,} a side and "
            f"{MOST_PIXELS:,} in all)"
        )
    if not tile_width and not tile_height:
        return ""
    if min(tile_width, tile_height) < 1 or tile_width * tile_height > MOST_TILE_PIXELS:
        return f"tiles of {tile_width:,}×{tile_height:,} pixels"
    segments = -(-width // tile_width) * -(-height // tile_height)
    if segments > MOST_SEGMENTS:
        return f"{segments:,} tiles (the limit is {MOST_SEGMENTS:,})"
    return ""
