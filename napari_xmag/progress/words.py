"""What a long run says of itself, as a person reads it in the window and in the terminal."""

from napari_xmag.progress.events import Progress, RunPlan


def describe_progress(progress: Progress) -> str:
    """Return one line: stage, fold, item, epoch, how much is done, how fast, how long it takes."""
    fold = f"Fold {progress.fold} of {progress.folds}: " if progress.fold else ""
    if progress.total == 0:
        return f"{fold}{progress.stage.words}{_item(progress)} …"
    parts = [f"{fold}{progress.stage.words}{_item(progress)}"]
    if progress.epoch:
        parts.append(f"epoch {progress.epoch} of {progress.epochs}")
    if progress.unit:
        parts.append(f"{progress.done} of {progress.total} {progress.unit}")
        if progress.per_second > 0:
            parts.append(f"{_rate(progress.per_second)} {progress.unit}/s")
    share = progress.share or 0.0
    if share < 1 and progress.seconds_left == progress.seconds_left:
        left = f"{duration(progress.seconds_left)} left"
        parts.append(left.replace(" ", "\N{NO-BREAK SPACE}"))
    return " · ".join(parts)


def _item(progress: Progress) -> str:
    place = f"{progress.number} of {progress.items}" if progress.items else ""
    words = ", ".join(part for part in (place, progress.item) if part)
    return f": {words}" if words else ""


def _rate(per_second: float) -> str:
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.1f}"


def plan_lines(plan: RunPlan) -> dict[str, str]:
    """Return the plan of a training as lines, title to text."""
    parts = [("encoding", plan.minutes_features), ("head", plan.minutes_head)]
    lines = {
        "Slides": f"{plan.slides}: {plan.training_slides} for training, "
        f"{plan.validation_slides} for validation",
        **({"Regions": plan.regions} if plan.regions else {}),
        "Tiles": f"{plan.tiles}, about {plan.tiles_per_slide} per slide",
    }
    if plan.minutes_per_epoch is not None:
        parts.append(("each end-to-end epoch", plan.minutes_per_epoch))
    each = ", ".join(f"{name} {duration(60 * minutes)}" for name, minutes in parts)
    lines |= {
        "Time": f"about {duration(60 * plan.minutes)} ({each})",
        "Memory": f"about {plan.memory_gb:.3g} GB",
        "Disk": f"about {plan.disk_gb:.3g} GB of {plan.disk_free_gb:.4g} GB free",
        "Device": f"{plan.device}, {plan.precision}",
    }
    if plan.tiles_at_once is not None:
        lines["Tiles at once"] = str(plan.tiles_at_once)
    return lines | {"Measured on": f"{plan.measured_slides} slides"}


def duration(seconds: float) -> str:
    """Return a time in words: "16 s", "2 min 5 s", "35 min", "2 h 05 min"."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
