"""Who the users are, what the videos (and goods) are, and how much one likes the other.

Interests live in one vector space. A niche is a direction made of its topic's direction and one of its own.
Items sit near their niche, users near the mean of a few niches. The observable features show the topic well
and the niche hardly.
"""

import dataclasses

import numpy as np

from tf_e2egrec.synthetic.short_video_config import ShortVideoConfig

DAY_MS = 86_400_000
TOPICS = 8
NICHES_PER_TOPIC = 8
LATENT_DIM = 16
CONTENT_DIM = 16
TAGS_PER_TOPIC = 12
MAX_TAGS = 4
AGE_GROUPS = 6
REGIONS = 10
DEVICES = 3
FIRST_VIDEO_ID = 1_000_001
FIRST_GOODS_ID = 5_000_001

_NICHES_PER_USER = 2
_TOPIC_SHARE = 0.35  # length of the topic's part of a niche's unit direction
_NICHE_IN_CONTENT = 0.3  # how much of a niche's own direction the content vector shows
_CONTENT_NOISE = 0.25  # per dimension; a unit vector has about the same
_OLD_STOCK = 0.25  # share of items that exist before the first day
_WEAK_SEGMENT = 0.3  # what age group and region tell when graph_signal is 1


@dataclasses.dataclass(frozen=True)
class Users:
    """n users.

    Attributes:
      age_group, region, device: int64 [n], observable.
      activity: float64 [n], how often the user comes; sums to 1.
      interest: float32 [n, LATENT_DIM], unit length.
      eagerness, patience: float32 [n], the user's own offsets of the click logit and of log(stay).
    """

    age_group: np.ndarray
    region: np.ndarray
    device: np.ndarray
    activity: np.ndarray
    interest: np.ndarray
    eagerness: np.ndarray
    patience: np.ndarray


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """n items of one domain.

    Attributes:
      first_id: id of item 0; ids run upwards in a random order of birth.
      born_ms: int64 [n] milliseconds since the epoch.
      topic, niche: int64 [n]; the topic is observable (the column `category`), the niche is not.
      vector: float32 [n, LATENT_DIM].
      author: int64 [n], observable.
      tags: list of n int64 arrays with 1 to MAX_TAGS tags.
      content: float32 [n, CONTENT_DIM], observable.
      duration: float32 [n] seconds.
      price: float32 [n], what goods cost.
      popularity: float64 [n], exposure weight at birth, long-tailed.
      quality: float32 [n], about standard normal.
    """

    first_id: int
    born_ms: np.ndarray
    topic: np.ndarray
    niche: np.ndarray
    vector: np.ndarray
    author: np.ndarray
    tags: list[np.ndarray]
    content: np.ndarray
    duration: np.ndarray
    price: np.ndarray
    popularity: np.ndarray
    quality: np.ndarray

    def __len__(self) -> int:
        """Number of items."""
        return len(self.born_ms)


@dataclasses.dataclass(frozen=True)
class World:
    """Users, one catalogue per domain, and the affinity between them.

    Attributes:
      users, catalogues: see there.
      segment: float32 [AGE_GROUPS, REGIONS, TOPICS], taste that observable features explain; unit variance.
      latent_scale: makes the latent affinity's standard deviation 1.
      graph_signal, taste: see `ShortVideoConfig`.
    """

    users: Users
    catalogues: dict[str, Catalogue]
    segment: np.ndarray
    latent_scale: float
    graph_signal: float
    taste: float

    def affinity(self, user: np.ndarray, catalogue: Catalogue, item: np.ndarray) -> np.ndarray:
        """How much users like items, about zero mean and a standard deviation of `taste` over random pairs.

        Args:
          user: int64 [n] or [n, 1] row numbers.
          catalogue: the items' catalogue.
          item: int64 [n] or [n, c] row numbers.

        Returns:
          float32 of `item`'s shape.
        """
        users = self.users
        observable = self.segment[users.age_group[user], users.region[user], catalogue.topic[item]]
        latent = np.einsum("...d,...d->...", users.interest[user], catalogue.vector[item]) * self.latent_scale
        g = self.graph_signal
        liking = np.float32(np.sqrt(g)) * latent + np.float32(np.sqrt(1 - g) + _WEAK_SEGMENT * g) * observable
        return np.float32(self.taste) * liking


def build_world(config: ShortVideoConfig) -> World:
    """Draw users, items and tastes."""
    rng = np.random.default_rng([config.seed, 1])
    topics = _unit(rng.normal(size=(TOPICS, LATENT_DIM)))
    own = _unit(rng.normal(size=(TOPICS * NICHES_PER_TOPIC, LATENT_DIM)))
    projection = np.linalg.qr(rng.normal(size=(LATENT_DIM, CONTENT_DIM)))[0]
    by_age, by_region = rng.normal(size=(AGE_GROUPS, 1, TOPICS)), rng.normal(size=(1, REGIONS, TOPICS))
    segment = by_age + by_region
    segment = (segment - segment.mean(axis=(0, 1))) / segment.std()
    niches = Niches(topics=topics, own=own, projection=projection)
    users = _draw_users(config, niches)
    sizes = {"video": config.videos, "goods": max(config.videos // 2, 50)}
    catalogues = {
        domain: _draw_catalogue(
            config, niches, domain, sizes[domain], np.random.default_rng([config.seed, 3, n])
        )
        for n, domain in enumerate(config.domains)
    }
    video = catalogues["video"]
    pairs = rng.integers(0, config.users, 20_000), rng.integers(0, config.videos, 20_000)
    latent = np.einsum("nd,nd->n", users.interest[pairs[0]], video.vector[pairs[1]])
    return World(
        users=users,
        catalogues=catalogues,
        segment=segment.astype(np.float32),
        latent_scale=float(1 / latent.std()),
        graph_signal=config.graph_signal,
        taste=config.taste,
    )


@dataclasses.dataclass(frozen=True)
class Niches:
    """Directions of topics ([TOPICS, d]) and niches (`own`, [niches, d]), and their map to content."""

    topics: np.ndarray
    own: np.ndarray
    projection: np.ndarray

    def direction(self, niche: np.ndarray, own_share: float = 1.0) -> np.ndarray:
        """Topic's part plus `own_share` of the niche's own part, float64 [n, d]."""
        own = np.sqrt(1 - _TOPIC_SHARE**2) * own_share
        return _TOPIC_SHARE * self.topics[niche // NICHES_PER_TOPIC] + own * self.own[niche]


def _draw_users(config: ShortVideoConfig, niches: Niches) -> Users:
    rng = np.random.default_rng([config.seed, 2])
    n = config.users
    liked = rng.integers(0, TOPICS * NICHES_PER_TOPIC, size=(n, _NICHES_PER_USER))
    weight = rng.uniform(0.6, 1.0, size=(n, _NICHES_PER_USER, 1))
    interest = (niches.direction(liked) * weight).sum(axis=1) + rng.normal(0, 0.1, size=(n, LATENT_DIM))
    activity = rng.lognormal(0, 0.7, size=n)
    return Users(
        age_group=rng.integers(0, AGE_GROUPS, n),
        region=np.minimum(rng.geometric(0.25, n) - 1, REGIONS - 1),
        device=rng.choice(DEVICES, n, p=[0.6, 0.3, 0.1]),
        activity=activity / activity.sum(),
        interest=_unit(interest).astype(np.float32),
        eagerness=rng.normal(0, 0.3, n).astype(np.float32),
        patience=rng.normal(0, 0.25, n).astype(np.float32),
    )


def _draw_catalogue(
    config: ShortVideoConfig, niches: Niches, domain: str, n: int, rng: np.random.Generator
) -> Catalogue:
    authors = max(n // 10, 5)
    author_niche = rng.integers(0, TOPICS * NICHES_PER_TOPIC, authors)
    author = np.minimum((rng.pareto(1.5, n) * authors / 6).astype(np.int64), authors - 1)
    author = rng.permutation(authors)[author]
    niche = rng.integers(0, TOPICS * NICHES_PER_TOPIC, n)
    on_topic = (author_niche[author] // NICHES_PER_TOPIC) * NICHES_PER_TOPIC + niche % NICHES_PER_TOPIC
    kind = rng.random(n)  # an author mostly keeps to a topic, and now and then to a niche
    niche = np.where(kind < 0.2, author_niche[author], np.where(kind < 0.75, on_topic, niche))
    topic = niche // NICHES_PER_TOPIC
    popular = rng.normal(size=n)
    vector = niches.direction(niche) + rng.normal(0, 0.08, size=(n, LATENT_DIM))
    content = niches.direction(niche, _NICHE_IN_CONTENT) @ niches.projection
    born = rng.uniform(0, config.days, n)
    old = rng.permutation(n) < int(n * _OLD_STOCK)
    born = np.where(old, -born - 0.01, born)
    return Catalogue(
        first_id=FIRST_VIDEO_ID if domain == "video" else FIRST_GOODS_ID,
        born_ms=config.start_ms + (born * DAY_MS).astype(np.int64),
        topic=topic,
        niche=niche,
        vector=_unit(vector).astype(np.float32),
        author=author,
        tags=_draw_tags(niche, rng),
        content=(content + rng.normal(0, _CONTENT_NOISE, size=content.shape)).astype(np.float32),
        duration=np.clip(rng.lognormal(3.3, 0.7, n), 5, 300).round(1).astype(np.float32),
        price=rng.lognormal(3.0, 0.8, n).round(2).astype(np.float32),
        popularity=np.exp(1.4 * popular),
        quality=(0.5 * popular + np.sqrt(0.75) * rng.normal(size=n)).astype(np.float32),
    )


def _draw_tags(niche: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Distinct tags of the item's topic; a niche prefers two of them, slightly."""
    n = len(niche)
    base = np.tile(np.log(1.0 / np.arange(1, TAGS_PER_TOPIC + 1)), (n, 1))
    within = niche % NICHES_PER_TOPIC
    for favourite in (within, (within * 5 + 3) % TAGS_PER_TOPIC):
        base[np.arange(n), favourite] += 0.7
    order = np.argsort(-(base + rng.gumbel(size=base.shape)), axis=1, kind="stable")[:, :MAX_TAGS]
    order = order + (niche // NICHES_PER_TOPIC * TAGS_PER_TOPIC)[:, None]
    count = rng.integers(1, MAX_TAGS + 1, n)
    return [row[:c] for row, c in zip(order, count, strict=True)]


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
