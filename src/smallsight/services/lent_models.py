"""Describes and tags with models that are borrowed from a lender while there is work for them.

A long run returns its model as soon as another borrower waits for room, and borrows it again after that one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain
from typing import TypeVar

from smallsight.errors import SmallsightError
from smallsight.inventory.served_models import ServedModel
from smallsight.lending.model_lender import Loan, ModelLender
from smallsight.library.describing import DescribeOptions, ModelDescriber
from smallsight.library.tagging import TaggedPicture, TagRequest
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes, NamedImage
from smallsight.services.tagging import make_tagger
from smallsight.settings import Settings

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class LentDescriber:
    """Describes pictures as ``ModelDescriber`` does, with a borrowed model."""

    def __init__(self, lender: ModelLender, served: ServedModel, options: DescribeOptions) -> None:
        """Borrow the model once, for its key; blocks while it is loaded and raises what loading raises."""
        self._lender = lender
        self._served = served
        self._options = options
        with lender.borrow(served) as loan:
            describer = ModelDescriber(loan.model, options)
        self.key, self.maker = describer.key, describer.maker
        self.sees_videos = describer.sees_videos

    def describe(
        self, pictures: Iterable[NamedBytes | NamedImage]
    ) -> Generator[str | SmallsightError, None, None]:
        """Yield a description, or why there is none, for each picture in order; closing it ends the loan."""

        def work(
            model: Model, some: Iterator[NamedBytes | NamedImage]
        ) -> Generator[str | SmallsightError, None, None]:
            return ModelDescriber(model, self._options).describe(some)

        return work_on_loan(self._lender, self._served, pictures, work)


class LentTagger:
    """Tags pictures as ``ModelTagger`` does, with a borrowed model."""

    def __init__(self, lender: ModelLender, served: ServedModel, settings: Settings) -> None:
        """Borrow the model once, for its keys; raises as loading does, and SettingsError if it cannot tag."""
        self._lender = lender
        self._served = served
        self._settings = settings
        with lender.borrow(served) as loan:
            tagger = make_tagger(loan.model, settings)
        self.key, self.reading_key = tagger.key, tagger.reading_key

    def tag(self, requests: Iterable[TagRequest]) -> Generator[TaggedPicture, None, None]:
        """Yield the result of each request in order; closing it ends the loan."""

        def work(model: Model, some: Iterator[TagRequest]) -> Generator[TaggedPicture, None, None]:
            return make_tagger(model, self._settings).tag(some)

        return work_on_loan(self._lender, self._served, requests, work)


def work_on_loan(
    lender: ModelLender,
    served: ServedModel,
    items: Iterable[_Item],
    work: Callable[[Model, Iterator[_Item]], Generator[_Result, None, None]],
) -> Generator[_Result, None, None]:
    """Yield the results of ``work`` for the items, in order, borrowing the model until another one waits.

    Every loan does at least one item. Without items nothing is borrowed. Raises what borrowing raises.
    """
    rest = iter(items)
    for first in rest:
        with lender.borrow(served) as loan:
            yield from work(loan.model, _until_wanted_back(chain((first,), rest), loan))


def _until_wanted_back(items: Iterable[_Item], loan: Loan) -> Iterator[_Item]:
    for item in items:
        yield item
        if loan.is_wanted_back:
            return
