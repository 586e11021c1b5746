"""What calls an exported model: the blocking and the asyncio client, their requests and answers."""

from serving.client.async_ranking_client import AsyncRankingClient
from serving.client.fresh_item import FreshItem
from serving.client.ranked_candidates import RankedCandidates
from serving.client.ranking_client import RankingClient
from serving.client.retrieved_items import RetrievedItems

__all__ = ["AsyncRankingClient", "FreshItem", "RankedCandidates", "RankingClient", "RetrievedItems"]
