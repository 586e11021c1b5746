"""The description file of a generated data set, a comment on each key: people start theirs from it."""

import datetime

from tf_e2egrec.synthetic.short_video_config import ShortVideoConfig
from tf_e2egrec.synthetic.short_video_world import CONTENT_DIM, MAX_TAGS

_HEAD = """\
# A generated short-video log: {impressions} impressions, {users} users, {videos} videos, {days} days,
# seed {seed}, graph signal {graph_signal} (0: a co-click graph has nothing to add; 1: it has much){taste}.
{about}name: {name:<28}# what reports call the data set
seed: 0                           # seeds row filters, caps, negatives and neighbour samples

interactions:                     # one entry per log
  - paths: interactions/day-*.parquet   # relative to this file
    domain: video                 # ids of different domains never meet
    user: user_id                 # id columns: integers or strings
    item: video_id
    time: {{column: time_ms, unit: ms}}   # unit: s, ms, us, ns, iso or rank
    behaviours:                   # name -> when it happened
      click: {{column: is_click}}   # where the column is non-zero (`at_least` and `in` are other forms)
      like: {{column: is_like}}
      long_view: {{column: is_long_view}}
    stay:                         # the stay-duration label
      column: stay_s
      unit: s
      maximum: 600                # seconds; longer stays are cut to it
      content_duration: video_duration_s   # the video's own length
    context:                      # features known when the item is shown, never what happened afterwards
      - {{name: position, column: position, type: numeric, transform: log1p}}   # place in the session
"""

_GOODS_LOG = """\
  - paths: goods_interactions/day-*.parquet
    domain: goods
    user: user_id                 # the same users as above: that links the domains
    item: goods_id
    time: {column: time_ms, unit: ms}
    behaviours:
      click: {column: is_click}
      purchase: {column: is_purchase}
    feeds: graph                  # these rows become edges and never train the ranker
"""

_ITEMS = """
items:                            # feature tables, one row per item
  - paths: videos.parquet
    id: video_id
    domain: video
    features:
      - {{name: category, type: categorical}}
      - {{name: author, type: categorical, min_count: 2}}   # rarer values share the unknown row
      - {{name: tags, type: categorical, multivalued: true, max_values: {tags}}}   # a list column
      - {{name: duration_s, type: numeric, transform: log1p}}   # standardised after the log
      - {{name: content, type: dense, dimension: {content}}}   # a vector, say of a picture or text model
"""

_GOODS_ITEMS = """\
  - paths: goods.parquet
    id: goods_id
    domain: goods
    features:                     # names are unique over all item tables
      - {{name: goods_category, column: category, type: categorical}}
      - {{name: goods_price, column: price, type: numeric, transform: log1p}}
      - {{name: goods_content, column: content, type: dense, dimension: {content}}}
"""

_TAIL = """
users:
  - paths: users.parquet
    id: user_id
    features:
      - {{name: age_group, type: categorical}}
      - {{name: region, type: categorical}}
      - {{name: device, type: categorical}}

ranker:
  reward: click                   # the behaviour that is the reward label
  derived: [hour_of_day, item_age, recent_count]   # computed by the pipeline
{rows}
graph:
  regime: {regime}
  positive: [click]               # behaviours that make a Swing interaction
  explicit: [click]               # behaviours that make a recent item of the user
  recent: 20                      # recent items kept per impression
  snapshots:
    refresh: 1d                   # a new graph every day, from strictly older events
    window: {window}                   # how far back it sees: `all`, or such as 7d
  swing: {{top: 50}}                # neighbours kept per item
  sampling:
    fanout: 20                    # neighbours sampled per candidate
    recent_fanout: 10             # neighbours sampled per recent item
    top: 50                       # out of this many heaviest ones

split:
  by: time
  labels_from: {labels_from}         # rows before it only feed the graph (UTC)
  train_until: {train_until}         # exclusive ends
  valid_until: {valid_until}
  test_until: {test_until}

training:
  models: [R0, R5]                # without a graph, and the full model
  epochs: 3                       # the epoch with the best validation AUC is kept
  batch_size: {batch_size:<20}# impressions per step
"""

_RUN = "#   e2egrec run dataset.yaml --out RUN_DIR\n"
_SIMULATION = """\
# For `e2egrec simulate`: the last day holds requests, one per user, with the outcome of each of {candidates} candidates.
# They only test. requests_truth.parquet knows what the outcomes were drawn from: no model may read it.
"""
_FEW_LABELS = """
model:
  dropout: 0.3                    # in the towers: with few labels they memorise
"""
_EQUAL = "equal                   # the graph sees exactly the ranker's rows"
_CROSS = "cross-domain            # the graph sees more than the ranker: {more}"


def short_video_description(config: ShortVideoConfig, window: str = "all") -> str:
    """YAML text of the description file for the folder that `write_short_video` makes.

    The last two days test (of a log with requests, their day alone), the day before validates; the first (three, in a
    long log) only feed the graph.

    Args:
      config: what was generated.
      window: how far back a graph snapshot sees.
    """
    goods = "goods" in config.domains
    candidates, test_days = config.request_candidates, 1 if config.request_candidates else 2
    moments = {"labels_from": 3 if config.days >= 9 else 1, "train_until": config.days - test_days - 1}
    moments |= {"valid_until": config.days - test_days, "test_until": config.days}
    values = {
        "about": _SIMULATION.format(candidates=candidates) if candidates else _RUN,
        "name": "short-video-simulation" if candidates else "short-video",
        "impressions": config.impressions,
        "users": config.users,
        "videos": config.videos,
        "days": config.days,
        "seed": config.seed,
        "graph_signal": config.graph_signal,
        "taste": "" if config.taste == 1 else f", taste {config.taste} (0: everybody likes the same)",
        "tags": MAX_TAGS,
        "content": CONTENT_DIM,
        "rows": _ranker_rows(config),
        "regime": _regime(config),
        "window": window,
        "batch_size": 512 if config.label_share < 1 else 2048,  # the steps of 3 epochs have to be enough
        **{name: config.start + datetime.timedelta(days=day) for name, day in moments.items()},
    }
    parts = [_HEAD, _ITEMS, _GOODS_ITEMS if goods else "", _TAIL]
    head, items, goods_items, tail = (part.format(**values) for part in parts)
    few_labels = _FEW_LABELS if config.label_share < 1 else ""
    return head + (_GOODS_LOG if goods else "") + items + goods_items + tail + few_labels


def _ranker_rows(config: ShortVideoConfig) -> str:
    """The line that filters the ranker's rows, or nothing where it trains on all."""
    filters = ["{domain: video}"] if "goods" in config.domains else []
    if config.label_share < 1:
        filters.append(f"{{users_share: {config.label_share}}}")
    if not filters:
        return ""
    rows = f"rows: [{', '.join(filters)}]"
    return f"  {rows:<32}# filters; all must hold\n"


def _regime(config: ShortVideoConfig) -> str:
    more = ["goods"] if "goods" in config.domains else []
    more += ["other users"] if config.label_share < 1 else []
    return _CROSS.format(more=" and ".join(more) + ", too") if more else _EQUAL
