"""Names of the files that napari-xmag writes, each in one place for whoever writes or reads it."""

# Of an analyzed slide.
RESULT = "result.json"
PATCHES = "tiles.csv"
HEAT_MAP = "heatmap.ome.tif"
GEOJSON = "tiles.geojson"
QUPATH = "qupath.geojson.gz"
OVERLAY = "overlay.png"
REVIEW = "review.csv"
TISSUE = "tissue.png"
REPORT_HTML = "report.html"
REPORT_PDF = "report.pdf"
REPORTS = "reports.html"

# Of many analyzed slides.
SUMMARY_TABLE = "summary.csv"
SUMMARY_PAGE = "summary.html"
FAILED_TABLE = "failed.csv"

# Of what was taught; the last two follow the slide's name.
AREAS = "areas.csv"
CLASS_OUTLINES = "-classes.geojson"
EXAMPLES = "-examples.geojson"

# Of a model folder; a run's own settings are a CONFIG, too.
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
HEAD = "head.safetensors"
CARD = "README.md"

# Of a run on labelled slides, and of a distillation.
COHORT = "cohort.csv"
VERSIONS = "versions.json"
METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"
REPORT = "report.md"
PLOTS = "plots"
MODEL = "model"
SCALARS = "scalars.csv"
TENSORBOARD = "tensorboard"
CHECKPOINTS = "checkpoints"
CHECKPOINT = "checkpoint.safetensors"
ENDED = "ended.json"

# Of a folder that is kept: features, a graph, a teacher's features.
ABOUT = "about.json"

# Of sampled fields.
INDEX = "index.csv"
PREPARED = "prepare.json"

# Of an evaluation.
RESULTS = "results.json"
RESULTS_TABLE = "results.md"
TIMES = "times.png"
