"""`ShortVideoConfig`: size and character of a generated short-video log."""

import dataclasses
import datetime

from tf_e2egrec.errors import E2EGRecError

_DOMAINS = (("video",), ("video", "goods"))
_MINIMUM_DAYS = 5


@dataclasses.dataclass(frozen=True)
class ShortVideoConfig:
    """What to generate; equal configurations give byte-identical tables.

    Attributes:
      users, videos, days, impressions: sizes; `impressions` counts the rows of the video log, exactly.
      seed: seeds every draw.
      graph_signal: in [0, 1], where the users' interests come from. At 1 they are latent: each user likes a
        few niches, a structure that titles, tags and authors hardly show but that shows in who clicks what
        together, so co-click edges carry information that features, popularity and sparse ids do not. At 0
        interests are a function of observable features alone (age group and region of the user, category of
        the video) at the same strength, so a co-click graph has nothing to add. Between them it
        is about the share of the interests' variance that is latent.
      taste: in [0, 1], how far a user's interests decide at all. At 0 what is clicked depends on the video, the user and the moment, and
        never on which user meets which video: co-clicks then know how often an item is clicked, and nothing else, whatever
        `graph_signal` is.
      domains: `("video",)`, or `("video", "goods")`: a second log of goods, one row for three video
        impressions, whose clicks follow the same interests of the same users; for a graph that sees more than
        the ranker.
      label_share: in (0, 1], the share of the users whose impressions are the ranker's; below 1, the graph sees the other
        users' clicks, too. It changes the description alone, not the logs. It makes labels scarce, where a graph is
        worth most: an item has few labels of its own, but many co-clicks whose neighbours have some.
      start: the first day (UTC).
      request_candidates: when given, the last day of the video log holds requests instead (`ShortVideoRequests`), each
        with this many candidates, for a simulation of policies; `impressions` then counts the former days' share only.

    Raises:
      E2EGRecError: a value is out of its range.
    """

    users: int = 8_000
    videos: int = 3_000
    days: int = 14
    impressions: int = 300_000
    seed: int = 0
    graph_signal: float = 1.0
    taste: float = 1.0
    domains: tuple[str, ...] = ("video",)
    start: datetime.date = datetime.date(2026, 1, 5)
    request_candidates: int | None = None
    label_share: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "domains", tuple(self.domains))
        checks = {
            f"`users` must be at least 10. Received: {self.users}": self.users >= 10,
            f"`videos` must be at least 50. Received: {self.videos}": self.videos >= 50,
            f"`days` must be at least {_MINIMUM_DAYS} (history, training, validation, two test days). "
            f"Received: {self.days}": self.days >= _MINIMUM_DAYS,
            f"`impressions` must be at least 20 a day. Received: {self.impressions}": self.impressions
            >= 20 * self.days,
            f"`seed` must not be negative. Received: {self.seed}": self.seed >= 0,
            f"`graph_signal` must lie between 0 and 1. Received: {self.graph_signal}": 0
            <= self.graph_signal
            <= 1,
            f"`taste` must lie between 0 and 1. Received: {self.taste}": 0 <= self.taste <= 1,
            f"`label_share` must be above 0 and at most 1. Received: {self.label_share}": 0
            < self.label_share
            <= 1,
            f'`domains` must be ("video",) or ("video", "goods"). Received: {self.domains}': self.domains
            in _DOMAINS,
            f"`request_candidates` must be at least 2. Received: {self.request_candidates}": (
                self.request_candidates is None or self.request_candidates >= 2
            ),
        }
        for message, holds in checks.items():
            if not holds:
                raise E2EGRecError(message)

    @property
    def start_ms(self) -> int:
        """Midnight (UTC) of the first day in milliseconds since the epoch."""
        midnight = datetime.datetime(self.start.year, self.start.month, self.start.day, tzinfo=datetime.UTC)
        return int(midnight.timestamp()) * 1000

    def rows_of_day(self, day: int, share: float = 1.0) -> int:
        """Rows of one day; over all days they add up to `impressions * share`, rounded down."""
        total = int(self.impressions * share)
        return total * (day + 1) // self.days - total * day // self.days
