"""Training pairs from crops of real people (`real_crops`) or composed of rendered people (`rendered_pairs`)."""
