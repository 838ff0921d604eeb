"""What rows are made of outside of mr_ml, where nothing packs them: the columns of a table, and what each one adds.

    feature of a column of numbers = its number;    feature of a category = 1 where the column has it, else 0

Formats say it by `mr_ml.readers.base.Format.inputs`, exports write it down. Nothing here loads numpy.
"""

from __future__ import annotations

from typing import Any, Literal

from hdfs_layout.dataclass import dataclass
from mr_ml.data.stored import shown
from mr_ml.errors import UsageError
from mr_ml.readers import terms as words
from mr_ml.readers.terms import Term

Missing = Literal["refuse", "fill", "ignore"]
Unseen = Literal["refuse", "ignore"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
    first : int
        Its only feature, or that of its first category; counted from 0.
    categories : tuple of str, or None
        Texts, each a feature; None for a column of numbers.
    whole : bool
        Whether its categories are whole numbers, of which each spelling is one: 1, +1 and 1.0.
    missing : {'refuse', 'fill', 'ignore'}
        What a row without a value is: refused, read as if it had `fill`, or, of categories, one that has none of them.
    fill : float, str or None
        The number or category of a row without a value.
    unseen : {'refuse', 'ignore'}
        What a row with another category is.
    """

    name: str
    first: int
    categories: tuple[str, ...] | None = None
    whole: bool = False
    missing: Missing = "refuse"
    fill: float | str | None = None
    unseen: Unseen = "refuse"

    @property
    def term(self) -> Term:
        """The same in words that other languages have too."""
        if self.categories is None:
            fill = None if self.fill is None or self.missing == "refuse" else float(self.fill)
            return words.Measured(number=words.Number(column=self.name), feature=self.first, fill=fill)
        code = words.Category(column=self.name, known=self.categories, whole=self.whole)
        missing = words.REFUSED if self.missing == "refuse" else words.NOTHING
        if self.missing == "fill":
            missing = self.first + self.categories.index(str(self.fill))
        unseen = words.NOTHING if self.unseen == "ignore" else words.REFUSED
        return words.chosen(code, self.first, missing=missing, unseen=unseen)


@dataclass(frozen=True, kw_only=True)
class Made:
    """Features that a transform makes of columns.

    Attributes
    ----------
    title : str
        The columns and what a schema file calls it, for messages.
    kind : str
        Of the transform.
    first, n_features : int
        Its first feature, counted from 0, and how many it has.
    parameters : dict
        Plain JSON types: what a program that is not mr_ml must know to do the same.
    terms : tuple of Term, or None
        The same in words that other languages have too; None if there are none, as for hashes of texts.
    """

    title: str
    kind: str
    first: int
    n_features: int
    parameters: dict[str, Any]
    terms: tuple[Term, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the rows of a schema are read from.

    Attributes
    ----------
    columns : tuple of Column, or None
        In the order of their features; None where features have numbers only, and what a row lacks is 0.
    offset : str or None
        The column of offsets, which every row must have.
    missing_texts, missing_number_texts : tuple of str
        Texts that mean no value in every column, and those that do so in columns of numbers only.
    text : dict
        How rows are written as text, in the words of the format's options.
    ignores_unseen : bool
        Without columns: whether features of other numbers count for nothing; else such rows are refused.
    made : tuple of Made
        What a schema file makes of columns, beside `columns`, in the order of the features.
    """

    columns: tuple[Column, ...] | None
    offset: str | None = None
    missing_texts: tuple[str, ...] = ("",)
    missing_number_texts: tuple[str, ...] = ()
    text: dict[str, Any]
    ignores_unseen: bool = False
    made: tuple[Made, ...] = ()


def no_inputs(form: str) -> UsageError:
    """Say that rows of a format have no columns that could be told."""
    return UsageError(
        f"rows of format {shown(form)} cannot be described outside of mr_ml; predict with `mr-ml predict`, or train on "
        "rows of another format"
    )
