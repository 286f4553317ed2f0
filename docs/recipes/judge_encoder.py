#!/usr/bin/env python3
"""Judge encoders at 5x beside their 20x teacher: agreement on held-out slides, linear probes.

usage: judge_encoder.py CONFIG.toml ENCODER... --glas GLAS --osteosarcoma FOLDER [--set a.b=c]

CONFIG.toml is that of the distillation: it names the fields, their cache, and the held-out slides.

Agreement: a ridge regression from an encoder's features to the teacher's (embedding to mean tile,
cell to its own tile), fitted on the training slides; the mean cosine between what it predicts and
what the teacher says on the held-out slides, both without the teacher's mean feature. So an
encoder is judged by what its features hold, with or without a projection head of its own.

Linear probes on frozen features (standardised, logistic regression): GlaS train to testA, and
osteosarcoma leaving one case out, at 2.0 µm/px. The teacher sees the same fields at 0.5 µm/px, in
4×4 tiles whose features are averaged (osteosarcoma pictures have 1.0 µm/px: they are enlarged).
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_xmag.distill.config import load_config
from napari_xmag.distill.encoder import load_encoder, timm_spec
from napari_xmag.distill.pairs import cached_pairs, held_out, student_view
from napari_xmag.distill.shards import read_index
from napari_xmag.errors import ModelError
from napari_xmag.nets.teacher import field_features, load_teacher
from napari_xmag.train.beat import finish


def main() -> None:
    """Print a JSON object with the figures of the teacher and of each encoder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("encoders", nargs="+", type=Path)
    parser.add_argument("--glas", type=Path, required=True)
    parser.add_argument("--osteosarcoma", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--fields", type=int, default=600, help="training fields for the ridge")
    args = parser.parse_args()
    config = load_config(args.config, args.settings)
    teacher = load_teacher(config.teacher.spec())
    glas, osteosarcoma = glas_fields(args.glas), osteosarcoma_fields(args.osteosarcoma)
    results = {"teacher": probes(lambda fields: taught(teacher, fields), glas, osteosarcoma)}
    for folder in args.encoders:
        student = load(folder, config.student.spec()).eval()
        results[folder.name] = agreement(config, teacher, student, args.fields)
        results[folder.name] |= probes(
            lambda fields, student=student: encoded(student, views(fields))[0], glas, osteosarcoma
        )
    print(json.dumps(results, indent=1))


def load(folder, spec):
    """Load a distilled student, or a timm folder at the student's scale."""
    try:
        return load_encoder(folder).student
    except ModelError:
        return load_encoder(folder, timm_spec(folder, mpp=spec.mpp, tile_px=spec.tile_px)).student


@torch.inference_mode()
def encoded(student, pixels):
    """Return embeddings (N, D) and cells (N, 16, D) of views (N, 3, H, W)."""
    embeddings, cells = [], []
    for start in range(0, len(pixels), 16):
        output = student(torch.from_numpy(np.array(pixels[start : start + 16])))
        embeddings.append(output.embedding.numpy())
        cells.append(output.cells.flatten(2).transpose(1, 2).numpy())
    return np.concatenate(embeddings), np.concatenate(cells)


def taught(teacher, fields):
    """Return the teacher's mean tile feature of each field."""
    rows = []
    for field in fields:
        pixels = torch.from_numpy(np.ascontiguousarray(field.transpose(2, 0, 1)))
        rows.append(field_features(teacher, pixels).mean((0, 1)).numpy())
    return np.array(rows)


def views(fields):
    """Return the fields as the student sees them."""
    return np.stack([student_view(field, 256) for field in fields])


def agreement(config, teacher, student, count):
    """Return how well the teacher's features are predicted on held-out slides."""
    records = read_index(config.data.fields)[: config.data.limit]
    pairs = finish(
        cached_pairs(config.data.fields, records, teacher, student.spec, config.data.cache)
    )
    testing = pairs.rows(held_out(records, config.data.validation, config.run.seed))
    training = np.setdiff1d(np.arange(len(records)), testing)
    training = np.sort(np.random.default_rng(0).choice(training, count, replace=False))
    data = {}
    for name, rows in (("train", training), ("test", testing)):
        grids = pairs.targets[rows].astype(np.float32).reshape(len(rows), 16, -1)
        data[name] = (*encoded(student, pairs.views[rows]), grids)
    return {
        "agreement_global": ridge_cosine(*((e, grids.mean(1)) for e, _, grids in data.values())),
        "agreement_local": ridge_cosine(
            *((flat(cells), flat(grids)) for _, cells, grids in data.values())
        ),
    }


def flat(values):
    """Return (N, 16, D) as (16 N, D)."""
    return values.reshape(-1, values.shape[-1])


def ridge_cosine(train, test):
    """Return the mean cosine of predicted and true features, both about the training mean."""
    scaler = StandardScaler().fit(train[0])
    mean = train[1].mean(0)
    model = Ridge(alpha=0.1 * len(train[0])).fit(scaler.transform(train[0]), train[1] - mean)
    predicted, true = model.predict(scaler.transform(test[0])), test[1] - mean
    norms = np.linalg.norm(predicted, axis=1) * np.linalg.norm(true, axis=1)
    return round(float(((predicted * true).sum(1) / norms).mean()), 4)


def glas_fields(folder):
    """Return fields of 1024 px at 0.5 µm/px (mirrored beyond their edges), labels, train flags."""
    fields, labels, train = [], [], []
    for split in ("train", "testA"):
        for path in sorted((folder / split).glob("*/*.jpg")):
            image = Image.open(path).convert("RGB")
            size = round(image.width * 0.62 / 0.5), round(image.height * 0.62 / 0.5)
            pixels = np.asarray(image.resize(size, Image.Resampling.LANCZOS))[:1024, :1024]
            gap = 1024 - pixels.shape[0], 1024 - pixels.shape[1]
            pad = [(g // 2, g - g // 2) for g in gap]
            fields.append(np.pad(pixels, (*pad, (0, 0)), mode="reflect"))
            labels.append(path.parent.name)
            train.append(split == "train")
    return fields, np.array(labels), np.array(train)


def osteosarcoma_fields(folder):
    """Return four fields for each picture of 1024 px at 1.0 µm/px, its label and its case."""
    fields, labels, cases = [], [], []
    for path in sorted(folder.glob("*/*.jpg")):
        image = Image.open(path).convert("RGB").resize((2048, 2048), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
        fields += [pixels[y : y + 1024, x : x + 1024] for y in (0, 1024) for x in (0, 1024)]
        labels.append(path.parent.name)
        cases.append(re.match(r"Case-\d+|P\d+", path.name)[0])
    return fields, np.array(labels), np.array(cases)


def probes(features_of, glas, osteosarcoma):
    """Return AUC and accuracy of linear probes."""
    fields, labels, train = glas
    features = features_of(fields)
    model = probe().fit(features[train], labels[train])
    scores = model.predict_proba(features[~train])
    result = {
        "glas_auc": roc_auc_score(labels[~train] == model.classes_[1], scores[:, 1]),
        "glas_accuracy": accuracy_score(labels[~train], model.predict(features[~train])),
    }
    fields, labels, cases = osteosarcoma
    features = features_of(fields)
    features = features.reshape(len(labels), 4, -1).mean(1)
    classes = np.unique(labels)
    scores = np.zeros((len(labels), len(classes)))
    for case in np.unique(cases):
        out = cases == case
        model = probe().fit(features[~out], labels[~out])
        scores[np.ix_(out, np.searchsorted(classes, model.classes_))] = model.predict_proba(
            features[out]
        )
    areas = [roc_auc_score(labels == name, scores[:, i]) for i, name in enumerate(classes)]
    result["osteosarcoma_auc"] = np.mean(areas)
    result["osteosarcoma_accuracy"] = accuracy_score(labels, classes[scores.argmax(1)])
    return {name: round(float(value), 4) for name, value in result.items()}


def probe():
    """Return an untrained linear probe."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=3000))


if __name__ == "__main__":
    main()
