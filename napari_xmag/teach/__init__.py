"""Teaching a classifier of patches by examples; knows no window.

How a window uses it::

    ready = kept_slide(slide, model, store) or (yield from encoded_slide(slide, model, store))
    session = TeachSession(lesson_file)        # what was saved is there again
    session.lesson_changed.connect(...)        # after each mark, undo, redo, change of classes
    session.open_slide(ready.prepared)         # with `PatchFeatures`, from the store
    session.mark(slide.id, patches, "Tumor")   # int indices; `PreparedSlide.patch_at(x, y)`
    request = session.request()                # frozen: hand it to a worker, the newest wins
    taught = teacher.fit(request)              # one `Learner(store)` a session; TeachError in words
    taught.maps[slide.id].labels               # int64 (P,); -1 is not taught: stays uncoloured

All but `Learner.fit`, `estimate` and `areas` with intervals is quick. `suggest(taught)` is what is
worth labelling next, `find_similar(layout, slides, slide.id, patch)` needs no example,
`estimate(taught)` says how right it is and `areas(taught, slide.id)` how much there is of each
class. The places of labels are those of the slide's features: `PatchFeatures` is a `GridLike`, so
`heat_map(features, values)` makes a picture of them. `map_features` and `example_features` of
`teach.annotations` are annotations for QuPath, `read_examples` takes them up, and
`save_taught_model` makes a model of what was taught.
"""
