"""What was saved of a slide: its results, what was said of their places, and how it was shown.

A window keeps one `ReviewStore` and one `ReviewHistory` for each slide that it shows::

    store = ReviewStore(slide_fingerprint(path, image))
    store.save_result(result)                 # when an analysis ends; in a worker
    [saved.headline for saved in store.results()]
    result = store.load_result(saved.id)
    history = ReviewHistory(store)            # verdicts and comments, with undo; all saved at once
    history.mark(result.patches.box(7), Verdict.RIGHT, class_name="malignant", view="evidence")
    history.undo()
    history.of(result, "malignant")           # by index of the patch, found again by its place
    store.save_view(ViewState(view=HeatMapView.EVIDENCE, class_name="malignant", result=saved.id))
    foremost(result, "malignant").patches     # the places to look at, the foremost first
"""
