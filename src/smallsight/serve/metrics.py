"""Metrics for Prometheus: requests, tokens, models and memory. Labels never contain text of clients."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from smallsight.answering.cost import Cost
from smallsight.engine.remote.circuit import CircuitState
from smallsight.http.admission import Admission
from smallsight.http.authorise import RefusedKeys
from smallsight.machine.memory import peak_memory_bytes
from smallsight.services.serving import Serving

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

Metric = GaugeMetricFamily | CounterMetricFamily


class Metrics:
    """Counts the requests and answers of one server."""

    def __init__(self, serving: Serving, admission: Admission, refused: RefusedKeys) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "smallsight_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "smallsight_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._tokens = Counter(
            "smallsight_tokens",
            "Tokens by model: prompt (image and cached ones among them) and completion.",
            ("model", "kind"),
            registry=self._registry,
        )
        self._inference = Histogram(
            "smallsight_inference_seconds",
            "Seconds that models took for answers.",
            ("model",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_StateCollector(serving, admission, refused))

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request that has been answered; a WebSocket by its handshake."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_answer(self, model: str, cost: Cost) -> None:
        """Count the cost of one question."""
        kinds = {
            "prompt": cost.prompt_tokens,
            "image": cost.image_tokens,
            "cached": cost.cached_tokens,
            "completion": cost.completion_tokens,
        }
        for kind, number in kinds.items():
            self._tokens.labels(model, kind).inc(number)
        self._inference.labels(model).observe(cost.inference_time_s)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _StateCollector(Collector):
    """Reads the state of the server at each scrape."""

    def __init__(self, serving: Serving, admission: Admission, refused: RefusedKeys) -> None:
        self._serving = serving
        self._admission = admission
        self._refused = refused

    def collect(self) -> Iterator[Metric]:
        pool = self._serving.pool
        memory = pool.memory()
        yield GaugeMetricFamily(
            "smallsight_requests_under_way", "Questions being answered.", self._admission.num_requests
        )
        yield GaugeMetricFamily(
            "smallsight_memory_resident_bytes",
            "Memory the server and its decoders hold.",
            memory.resident_bytes,
        )
        yield GaugeMetricFamily(
            "smallsight_memory_peak_bytes", "Most memory the server itself has held.", peak_memory_bytes()
        )
        yield GaugeMetricFamily(
            "smallsight_memory_decoders_bytes",
            "Memory the decoders hold.",
            self._serving.pictures.memory_bytes(),
        )
        yield GaugeMetricFamily(
            "smallsight_memory_budget_bytes", "Memory the server may hold.", pool.policy.max_bytes
        )
        yield GaugeMetricFamily(
            "smallsight_memory_free_bytes", "Free memory of the machine.", memory.free_bytes
        )
        models = GaugeMetricFamily("smallsight_model_bytes", "Memory by model.", labels=("model", "stage"))
        for one in pool.loaded():
            models.add_metric((one.name, one.stage), one.charged_bytes)
        yield models
        yield CounterMetricFamily("smallsight_model_loads", "Models loaded.", pool.num_loads)
        yield CounterMetricFamily("smallsight_model_unloads", "Models unloaded.", pool.num_unloads)
        yield self._tiles()
        yield from self._results()
        yield from self._remotes()
        keys = CounterMetricFamily(
            "smallsight_refused_keys",
            "Requests refused because their key was missing, unknown, or lacked the scope.",
            labels=("kind",),
        )
        for kind, number in self._refused.counts.items():
            keys.add_metric((kind,), number)
        yield keys

    def _remotes(self) -> Iterator[Metric]:
        states = self._serving.remotes.states()
        circuit = GaugeMetricFamily(
            "smallsight_remote_circuit",
            "State of the circuit breaker of another server.",
            labels=("model", "state"),
        )
        asked = CounterMetricFamily(
            "smallsight_remote_requests", "Requests to another server by outcome.", labels=("model", "kind")
        )
        for one in states:
            for state in CircuitState:
                circuit.add_metric((one.name, state.value), one.circuit is state)
            for kind, number in (
                ("answer", one.num_answers),
                ("failure", one.num_failures),
                ("fallback", one.num_fallbacks),
            ):
                asked.add_metric((one.name, kind), number)
        yield circuit
        yield asked

    def _tiles(self) -> Metric:
        tiles = CounterMetricFamily(
            "smallsight_tiles", "Picture tiles that a model encoded, or knew.", labels=("model", "kind")
        )
        for model, tile_counts in self._serving.pool.tile_counts().items():
            tiles.add_metric((model, "encoded"), tile_counts.num_encoded)
            tiles.add_metric((model, "known"), tile_counts.num_known)
        return tiles

    def _results(self) -> Iterator[Metric]:
        results = self._serving.results
        found = CounterMetricFamily(
            "smallsight_result_cache",
            "Greedy questions by whether the result cache had them.",
            labels=("kind",),
        )
        found.add_metric(("hit",), results.num_hits)
        found.add_metric(("miss",), results.num_misses)
        yield found
        yield GaugeMetricFamily(
            "smallsight_result_cache_bytes", "Memory of the result cache.", results.num_bytes
        )
