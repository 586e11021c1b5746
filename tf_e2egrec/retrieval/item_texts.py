"""The texts behind item keys, where logs name their items by text."""

import functools

import numpy as np
import pyarrow.compute as pc

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.ids import domain_keys, keys_from_column
from tf_e2egrec.dataset.log_blocks import LogFiles, OpenRaw
from tf_e2egrec.dataset.log_reader import file_parts, read_table_blocks


def item_texts(
    description: DatasetDescription, files: LogFiles, open_raw: OpenRaw, keys: np.ndarray
) -> np.ndarray:
    """What the logs call some items: the item column is read once more, and nothing else.

    Args:
      description: the data set; its item ids are text.
      files: the files to read, (number of the log, path).
      open_raw: opens a path's bytes.
      keys: int64 [I], ascending.

    Returns:
      str [I] (objects); empty where no file has the item.
    """
    texts = np.full(len(keys), "", object)
    for number, path in files:
        log = description.interactions[number]
        domain = description.domains.index(log.domain)
        opener, columns = functools.partial(open_raw, path), {log.item: f"interactions.{number}.item"}
        for part in file_parts(opener, log, path):
            for table in read_table_blocks(opener, log, columns, path, part=part):
                distinct = pc.unique(table.column(log.item)).drop_null()
                found = domain_keys(keys_from_column(distinct, log.item), domain)
                place = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
                wanted = keys[place] == found
                texts[place[wanted]] = distinct.to_numpy(zero_copy_only=False)[wanted].astype(str)
    return texts
