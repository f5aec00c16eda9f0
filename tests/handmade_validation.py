"""Validation results made by hand: numbers of the size that real ones have, without running a model."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from smallsight.catalog.entry import Verdict
from smallsight.validation.exploration import Exploration, explored_scheme
from smallsight.validation.result import (
    Interval,
    Judgement,
    Machine,
    Memory,
    ModuleBytes,
    PictureResult,
    Side,
    Speed,
    Spread,
    Summary,
    System,
    TextScores,
    TokenScores,
    ValidationResult,
)

MIB = 1024**2
MACHINE = Machine(
    processor="AMD EPYC",
    instruction_sets=("avx2", "fma"),
    num_threads=2,
    memory_bytes=24 * 1024**3,
    system="Linux 6.1, Python 3.11",
    libraries={"openvino": "2026.4.0", "numpy": "2.3.1"},
)
THRESHOLDS = {"stable_exact": 0.7, "stable_quality": 0.95, "experimental_quality": 0.85}
BITS = {"bf16": 16.0, "int8-rows": 8.1, "int4-groups-64": 4.5}
PARAMETERS = {"vision": 93_000_000, "connector": 7_000_000, "text": 106_000_000, "embeddings": 28_000_000}


def interval(mean: float, width: float = 0.02) -> Interval:
    return Interval(mean=mean, low=mean - width, high=mean + width)


def spread(median: float) -> Spread:
    return Spread(median=median, low=0.9 * median, high=1.2 * median, num=3)


def memory(form: str, kept: tuple[str, ...] = ("embeddings",)) -> Memory:
    forms = {module: "bf16" if module in kept else form for module in PARAMETERS}
    modules = tuple(
        ModuleBytes(
            module=module,
            form=forms[module],
            num_parameters=num,
            num_bytes=int(num * BITS[forms[module]] / 8),
        )
        for module, num in PARAMETERS.items()
    )
    weights = sum(one.num_bytes for one in modules)
    return Memory(
        before_bytes=180 * MIB,
        loaded_bytes=260 * MIB + weights,
        loading_peak_bytes=300 * MIB + weights,
        peak_bytes=420 * MIB + weights,
        private_loaded_bytes=120 * MIB + weights,
        private_peak_bytes=280 * MIB + weights,
        modules=modules,
    )


def side(name: str, form: str, *, times_faster: float = 1.0) -> Side:
    measured = memory(form)
    return Side(
        system=System(
            name=name,
            precision=form.partition("-")[0],
            scheme=form,
            engine="openvino",
            key=name,
            version="0.2.0",
        ),
        memory=measured,
        predicted_weights_bytes=int(measured.weights_bytes * 0.985),
        speed=Speed(
            load_s=spread(2.4 / times_faster),
            first_token_s=spread(0.9 / times_faster),
            tokens_per_s=spread(38 * times_faster),
            pictures_per_min=spread(11.5 * times_faster),
        ),
    )


def picture(number: int, quality: float, *, name: str = "", gibberish: bool = False) -> PictureResult:
    base = "A brown dog sleeps on a red sofa next to a window, and a cup of coffee stands on the table."
    variant = (
        base
        if quality == 1
        else "A brown dog lies on a red couch next to a door, and a cup stands on the table."
    )
    if gibberish:
        variant = "dog dog dog dog the the the the the the the the"
    return PictureResult(
        picture=name or f"holiday/IMG_{number:04}.jpg",
        sha256=f"{number:064x}",
        question="Describe the picture.",
        base_answer=base,
        variant_answer=variant,
        text=TextScores(
            is_exact=quality == 1, bleu=100 * quality**3, chrf=100 * quality**2, similarity=quality**0.3
        ),
        tokens=TokenScores(
            num_tokens=24,
            agreement=quality,
            kl_nats=(1 - quality) ** 1.5,
            max_kl_nats=3 * (1 - quality),
            first_divergence=None if quality == 1 else 4,
        ),
        quality=quality,
        gibberish=("one word is repeated 8 times in a row",) if gibberish else (),
    )


def summary(pictures: tuple[PictureResult, ...]) -> Summary:
    done = [one for one in pictures if one.quality is not None]

    def mean(values: list[float], width: float) -> Interval:
        return interval(sum(values) / len(values), width)

    return Summary(
        num_pictures=len(done),
        num_problems=len(pictures) - len(done),
        num_gibberish=sum(bool(one.gibberish) for one in done),
        exact=mean([float(one.quality == 1) for one in done], 0.06),
        quality=mean([one.quality or 0.0 for one in done], 0.012),
        bleu=mean([one.text.bleu for one in done if one.text], 4.0),
        chrf=mean([one.text.chrf for one in done if one.text], 3.0),
        similarity=mean([one.text.similarity or 0.0 for one in done if one.text], 0.01),
        agreement=mean([one.tokens.agreement for one in done if one.tokens], 0.012),
        kl_nats=mean([one.tokens.kl_nats for one in done if one.tokens], 0.004),
    )


def result(
    num_pictures: int = 12,
    *,
    verdict: Verdict = Verdict.EXPERIMENTAL,
    form: str = "int4-groups-64",
    loss: float = 0.08,
    extra: tuple[PictureResult, ...] = (),
) -> ValidationResult:
    """Return a result whose pictures lose a random part of their quality, by default of ``loss``."""
    drawn = random.Random(19)
    pictures = tuple(
        picture(number, 1.0 if drawn.random() < 0.4 else max(0.0, 1 - drawn.expovariate(1 / loss)))
        for number in range(num_pictures)
    )
    pictures = (*pictures, *extra)
    means = summary(pictures)
    return ValidationResult(
        measured_at=datetime(2026, 11, 28, 19, 30, tzinfo=UTC),
        machine=MACHINE,
        picture_set="4f1d" * 16,
        pictures_folder="/home/alice/Pictures/memes",
        question="Describe the picture.",
        max_tokens=64,
        num_rounds=3,
        base=side("SmolVLM-256M-Instruct", "bf16"),
        variant=side("SmolVLM-256M-Instruct-int4", form, times_faster=1.4),
        pictures=pictures,
        summary=means,
        judgement=Judgement(
            verdict=verdict,
            is_decided=True,
            reasons=("42.0 % of the answers equal the base's; stable needs 70 %.",),
            thresholds=THRESHOLDS,
        ),
    )


def exploration() -> Exploration:
    """Return one with schemes of which some are on the front, some behind it, and one must not ship."""
    tried = [
        ("int8", "int8-rows", 0.004, Verdict.STABLE),
        ("int4-g32", "int4-groups-64", 0.03, Verdict.STABLE),
        ("int4-g64", "int4-groups-64", 0.08, Verdict.EXPERIMENTAL),
        ("nf4", "int4-groups-64", 0.06, Verdict.EXPERIMENTAL),
        ("fp4", "int4-groups-64", 0.3, Verdict.DO_NOT_SHIP),
    ]
    schemes = []
    for index, (name, form, loss, verdict) in enumerate(tried):
        one = explored_scheme(result(40, form=form, loss=loss, verdict=verdict), f"text {name}, head int8")
        schemes.append(
            one.model_copy(
                update={"name": name, "weights_bytes": one.weights_bytes + (3 * MIB * index if index else 0)}
            )
        )
    base = side("SmolVLM-256M-Instruct", "bf16")
    return Exploration(
        measured_at=datetime(2026, 11, 28, 19, 30, tzinfo=UTC),
        machine=MACHINE,
        picture_set="4f1d" * 16,
        base=base.system,
        base_weights_bytes=base.memory.weights_bytes if base.memory else 0,
        base_tokens_per_s=spread(38),
        schemes=tuple(schemes),
        problems={"int2": "There is no precision 'int2'."},
    )
