"""`FileSource`: where rows are read from."""

from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tf_e2egrec.dataset.description.strict_model import StrictModel

_FORMAT_OF_SUFFIX = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".dat": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
}


class FileSource(StrictModel):
    """Files of one layout.

    Attributes:
      paths: paths or globs, relative to the data root (the description's folder unless `--data` names
        another); any file system Beam reaches.
      format: `parquet`, `csv`, `jsonl`, or `lists` (a line per user: its id, a space, and the ids of its items with spaces
        between them; what follows a tab is left out); taken from the first path's ending when absent.
      separator: CSV only; may have several characters.
      encoding: CSV only.
      columns: CSV without a header line: the column names in order. Item lists have the columns `user`, `item` and
        `position` (the item's place in the line) unless three others are named.
    """

    paths: list[str] = Field(min_length=1)
    format: Literal["parquet", "csv", "jsonl", "lists"] | None = None
    separator: str = Field(default=",", min_length=1)
    encoding: str = "utf-8"
    columns: list[str] | None = None

    @field_validator("paths", mode="before")
    @classmethod
    def _one_path_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _format_is_known(self) -> Self:
        if self.format is None and self._suffix() not in _FORMAT_OF_SUFFIX:
            raise ValueError(
                f"the format of `{self.paths[0]}` cannot be told from its ending; set `format` to parquet, csv or jsonl, or to lists"
            )
        if self.format == "lists" and self.columns is not None and len(self.columns) != 3:
            raise ValueError(
                f"`columns` of item lists are three names: user, item, place. Received: {self.columns}"
            )
        return self

    @property
    def file_format(self) -> str:
        """The format, explicit or by file ending."""
        return self.format or _FORMAT_OF_SUFFIX[self._suffix()]

    def _suffix(self) -> str:
        name = PurePosixPath(self.paths[0]).name
        return PurePosixPath(name.removesuffix(".gz")).suffix.lower()
