"""A plan in words, for window and command line."""

from typing import TYPE_CHECKING

from llm_studio.i18n import _, duration, number, short_number, size, time_limit

if TYPE_CHECKING:
    from llm_studio.runs.snapshots import Storage
    from llm_studio.workflows.training.planner import RunPlan


def plan_text(plan: "RunPlan") -> str:
    """The plan in two lines."""
    text = _("Plan for {time} of training: {parameters} parameters, a vocabulary of {vocabulary}, a context of "
             "{context} tokens, about {steps} steps on {batch} sequences each, {passes} passes over the texts; "
             "{memory} of memory, {disk}. Preparation: about {preparation}.")  # fmt: skip
    disk = disk_text(_("{size} on the disk").format(size=size(plan.disk)), plan.snapshots)
    text = text.format(
        time=time_limit(plan.minutes), parameters=short_number(plan.parameters), vocabulary=number(plan.vocab_size),
        context=number(plan.context), steps=number(plan.steps), batch=number(plan.batch),
        passes=number(plan.passes, 1), memory=size(plan.memory), disk=disk,
        preparation=duration(plan.preparation),
    )  # fmt: skip
    return " ".join(part for part in (text, origin_text(plan), few_texts() if plan.more_texts else "") if part)


def origin_text(plan: "RunPlan") -> str:
    """What a plan takes over from the model that it starts from; "" if there is none."""
    if plan.origin is None:
        return ""
    return _("It begins with the model {origin} and keeps its tokenizer and its shape; only the batch, the learning "
             "rate and the steps are planned.").format(origin=plan.origin.title)  # fmt: skip


def disk_text(disk: str, snapshots: "Storage") -> str:
    """The disk space of a run, including its snapshots: “340 MB on the disk (timeline: 126 MB)”."""
    if not snapshots.count:
        return disk
    text = _("{disk} (timeline: {timeline})")
    if snapshots.precision == "int8":
        text = _("{disk} (timeline: {timeline}, as int8)")
    return text.format(disk=disk, timeline=size(snapshots.total))


def snapshots_text(snapshots: "Storage") -> str:
    """The disk space of a run's snapshots: “126 MB: the weights at 66 moments, as float16”."""
    if not snapshots.count:
        return size(0)
    text = _("{size}: the weights at {count} moments, as {precision}")
    count, precision = number(snapshots.count), snapshots.precision
    return text.format(size=size(snapshots.total), count=count, precision=precision)


def snapshots_figures(snapshots: "Storage") -> dict[str, object]:
    """The same for scripts."""
    return {"snapshots": snapshots.total, "snapshot_count": snapshots.count, "snapshot_precision": snapshots.precision}


def few_texts() -> str:
    """The sentence for a plan that has few texts for its time."""
    return _("Your texts are few for this time: the model reads them again and again. More texts of the kind, or a "
             "shorter time, would be better used.")  # fmt: skip
