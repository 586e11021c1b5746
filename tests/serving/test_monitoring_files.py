"""What collects and shows the servers' metrics: Prometheus's configuration and the Grafana dashboard."""

import json
import re
from typing import Any, Literal

import promql_parser
import yaml
from pydantic import BaseModel, ConfigDict, Field

from tests.serving.model_server_files import environment, manifests, read


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Relabel(_Strict):
    source_labels: list[str]
    action: Literal["keep", "replace"]
    regex: str
    target_label: str | None = None


class Scrape(_Strict):
    job_name: str
    metrics_path: str = "/metrics"
    static_configs: list[dict[Literal["targets"], list[str]]] = []
    kubernetes_sd_configs: list[dict[Literal["role"], Literal["pod"]]] = []
    relabel_configs: list[Relabel] = []


class Prometheus(_Strict):
    """What of Prometheus's configuration is used here."""

    settings: dict[Literal["scrape_interval"], str] = Field(alias="global")
    scrape_configs: list[Scrape]


def test_the_prometheus_configuration() -> None:
    found = Prometheus.model_validate(yaml.safe_load(read("prometheus.yaml")))
    here, pods = found.scrape_configs
    assert here.static_configs == [{"targets": [f"127.0.0.1:{environment()['REST_PORT']}"]}]
    assert f'path: "{here.metrics_path}"' in read("monitoring.config")
    assert pods.kubernetes_sd_configs == [{"role": "pod"}]
    metadata = manifests()["Deployment"]["spec"]["template"]["metadata"]
    meta = {
        f"__meta_kubernetes_pod_annotation_{underscored(key)}": value
        for key, value in metadata["annotations"].items()
    }
    meta |= {
        f"__meta_kubernetes_pod_label_{underscored(key)}": value for key, value in metadata["labels"].items()
    }
    meta |= {
        "__meta_kubernetes_pod_container_port_name": "rest",
        "__meta_kubernetes_pod_name": "ranker-server-0",
    }
    for rule in pods.relabel_configs:
        value = ";".join(meta[label] for label in rule.source_labels)
        match = re.fullmatch(rule.regex, value)
        assert match, rule
        if rule.action == "replace":
            assert rule.target_label
            meta[rule.target_label] = match[1]
    assert meta["__metrics_path__"] == here.metrics_path


def underscored(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


SERVING = ":tensorflow:serving:"
COUNTERS = {
    f"{SERVING}request_count": {"model_name", "status"},
    ":tensorflow:cc:saved_model:load_attempt_count": {"model_path", "status"},
}
GAUGES = {
    "up": {"job"},
    "DCGM_FI_DEV_FB_USED": {"gpu"},
    "DCGM_FI_DEV_FB_FREE": {"gpu"},
    "DCGM_FI_DEV_GPU_UTIL": {"gpu"},
}
HISTOGRAMS = {
    f"{SERVING}request_latency": {"model_name", "API", "entrypoint"},
    f"{SERVING}runtime_latency": {"model_name", "API", "runtime"},
    f"{SERVING}model_warmup_latency": {"model_path", "status"},
    f"{SERVING}batching_session:queuing_latency": set(),
    f"{SERVING}batching_session:input_batch_size": set(),
    f"{SERVING}batching_session:processed_batch_size": set(),
    f"{SERVING}batching_session:padding_size": {"execution_batch_size"},
}
LABELS: dict[str, set[str]] = {name: labels | {"instance"} for name, labels in {**COUNTERS, **GAUGES}.items()}
for _name, _labels in HISTOGRAMS.items():
    LABELS |= {f"{_name}_{suffix}": _labels | {"instance"} for suffix in ("sum", "count")}
    LABELS[f"{_name}_bucket"] = _labels | {"instance", "le"}


def queries(panel: dict[str, Any]) -> list[str]:
    assert panel["targets"], panel["title"]
    return [target["expr"].replace("$__rate_interval", "5m") for target in panel["targets"]]


def selectors(expression: str) -> list[Any]:
    """The metrics that a query reads, with their matchers."""
    found: list[Any] = []

    def walk(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
            child = getattr(node, name, None)
            if child is not None:
                walk(child)
        for child in getattr(node, "args", None) or []:
            walk(child)

    walk(promql_parser.parse(expression))
    return found


def dashboard() -> dict[str, Any]:
    return json.loads(read("grafana-dashboard.json"))


def test_every_panel_asks_for_metrics_that_there_are() -> None:
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert len({panel["title"] for panel in panels}) == len(panels) >= 10
    seen: set[str] = set()
    for panel in panels:
        assert panel["type"] == "timeseries"
        assert panel["fieldConfig"]["defaults"]["unit"]
        for query in queries(panel):
            for one in selectors(query):
                assert one.name in LABELS, f"{panel['title']}: {one.name}"
                matched = {matcher.name for matcher in one.matchers.matchers}
                assert matched <= LABELS[one.name], f"{panel['title']}: {matched}"
                seen.add(one.name)
            grouped = {name for part in re.findall(r"by \(([^)]*)\)", query) for name in part.split(", ")}
            assert grouped <= set().union(*(LABELS[one.name] for one in selectors(query))), query
            assert ("histogram_quantile" in query) == ("_bucket" in query), query
            assert "_count" not in query or "rate(" in query or "increase(" in query or "_sum" in query, query
    wanted = [
        "request_count",
        "request_latency_bucket",
        "runtime_latency_bucket",
        "batching_session:queuing_latency_bucket",
    ]
    assert {f"{SERVING}{name}" for name in wanted} <= seen


def test_panels_have_numbers_and_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells
        cells |= own
    variables = {one["name"] for one in dashboard()["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", read("grafana-dashboard.json"))) - {"__rate_interval", "__all"}
    assert used == variables
