"""What the documents speak of, small and ready: data, a finished run, exports, a comparison, servers."""

import contextlib
import re
import shutil
from pathlib import Path

from serving.client.ranking_client import RankingClient
from serving.running_server import RunningServer
from serving.server_command import start_server
from tests.cli.job import finished_job, small_data, succeed
from tests.docs.pages import ROOT, words
from tests.docs.small_data_sets import write_data_sets

RUN = "runs/demo/run"

# What a document calls it -> what it is called here, one after the other.
PLACES = {
    r"\bRUN_DIR\b": RUN,
    r"\bEXPORT_DIR\b": f"{RUN}/export/R5",
    r"\b(DATASET|podcasts)\.yaml\b": "runs/demo/data/dataset.yaml",
    r"\bFOLDER\b": "runs/demo/data",
    r"/srv/models/ranker\b|\bMODELS/": "models",
    r"\bMODELS\.config\b": "models.config",
    r"--runner=\.\.\.": "--runner=DirectRunner",
    r"--data (PATH/TO/\S+|\.\./\S+|DIR|PATH|GLOBO|KUAIRAND|ML1M)": "--data public",
    r"\bdata/few-labels/dataset\.yaml(?! --out runs)": "runs/demo/data/dataset.yaml",  # the README names it, and another page makes it
    r"\breport (DIR|runs/compare)\b": "report runs/compared",
    r' --sizes "[^"]+"| \[--sizes [^]]+\]': "",  # `--quick` has sizes of its own
    r"\[--snapshot latest\|ID\]": "--snapshot latest",
}

# Command -> options that make it small: those that begin with `+` are added where the document has none.
SIZES = {
    "synthesize": {"+--impressions": 4000, "+--users": 200, "+--videos": 120, "+--days": 6},
    "simulate": {
        "+--impressions": 2000, "+--users": 100, "+--videos": 80, "+--days": 5, "+--candidates": 6,
        "+--models": "R0,R5", "+--seeds": 1, "+--bootstrap": 5,
    },
    "compare": {
        "--seeds": 1, "--jobs": 1, "+--bootstrap": 5, "+--leak-sample": 20,
        "--tune": "training.embedding_decay=0,3",
    },
    "run": {"--seeds": 1},
    "train": {"--seeds": 1, "--models": "R0,R5"},
    "recommend": {"--seeds": 1},
    "export": {"--min-auc": 0.3},
    "candidates": {"--top": 20},
    "loadtest": {"--rate": 20, "+--seconds": 1, "--max-p99": 60_000},
    "validate": {"+--stability": 3, "+--rate-ratio": 4},
    "explore": {"+--port": 0},
    "serve": {"+--port": 0, "--rest-port": 0},
    "predict": {"+--target": "127.0.0.1:8500"},
    "rollout canary": {"--max-difference": 1},
}  # fmt: skip


class SmallWorld:
    """A directory in which the paths of a document exist.

    Attributes:
      root: the directory; commands are run in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._servers: dict[str, RunningServer] = {}
        self._open = contextlib.ExitStack()
        self._outputs = 0

    @classmethod
    def make(cls, root: Path, base: Path) -> "SmallWorld":
        """Everything that takes long: the job, a comparison.

        Args:
          root: does not exist yet.
          base: where the small job of the session is kept.
        """
        shutil.copytree(small_data(base).parent, root / "runs/demo/data")
        shutil.copytree(finished_job(base)[0], root / RUN)
        shutil.copytree(ROOT / "notebooks", root / "notebooks")
        write_data_sets(root)
        (root / "items.txt").write_text("1\n2\n3\n", encoding="utf-8")
        with contextlib.chdir(root):
            succeed(
                "compare",
                "runs/demo/data/dataset.yaml",
                "--out",
                "runs/compared",
                "--models",
                "R0,R5",
                "--bootstrap",
                5,
            )
        return cls(root)

    def copy(self, root: Path) -> "SmallWorld":
        """The same for another document, which may change it."""
        return SmallWorld(Path(shutil.copytree(self.root, root)))

    def translated(self, command: str) -> list[str]:
        """A documented command's words with what is here in place of what it names."""
        text = command
        for said, meant in PLACES.items():
            text = re.sub(said, meant, text)
        found = words(text)
        if found[0] == "e2egrec":
            name = " ".join(found[1:3]) if found[1] == "rollout" else found[1]
            for option, value in SIZES.get(name, {}).items():
                found = _with(found, option.removeprefix("+"), str(value), add=option.startswith("+"))
            if name in ("run", "compare"):
                # On data of their own, only the model that is trained fastest: the description is what is tried.
                models = "R0" if re.search(r"configs/|(^|\s)data/", command) else "R0,R5"
                found = _with(found, "--models", models, add=True)
            if re.search(r"--out (DIR|OUT)\b", text):
                self._outputs += 1  # each command its own
                found = _with(found, "--out", f"out/{self._outputs}", add=False)
            if name == "synthesize" and Path(found[2]).exists():  # it writes a new folder only
                found[2] += "-again"
            if name == "recommend" and "configs" not in text:
                found = ["lists/dataset.yaml" if one.endswith("dataset.yaml") else one for one in found]
        if "models.config" in found and not (self.root / "models.config").exists():
            self._configuration()
        return [
            re.sub(r"^(127\.0\.0\.1|HOST):850[01]$", lambda match: self.target(match[0]), one)
            for one in found
        ]

    def target(self, said: str) -> str:
        """host:port of the server that a document means: the ranking model's, or on port 8501 that of the candidates."""
        return self._server("candidates" if said.endswith("8501") else "ranking").target

    def close(self) -> None:
        self._open.close()

    def _configuration(self) -> Path:
        """The model configuration, with version 1 of the ranking model."""
        config = self.root / "models.config"
        config.write_text(
            f'model_config_list {{ config {{ name: "R5" base_path: "{self.root}/{RUN}/export/R5" model_platform: "tensorflow"\n'
            'model_version_policy { specific { versions: 1 } } version_labels { key: "stable" value: 1 } } }\n',
            encoding="utf-8",
        )
        return config

    def _server(self, kind: str) -> RunningServer:
        if kind not in self._servers:
            if kind == "candidates":
                succeed("candidates", RUN, "--to", "R5-candidates", "--top", 20)
                server = start_server("R5-candidates", "R5-candidates", port=0, kind="development")
            else:
                config = self._configuration()
                server = start_server(model_config_file=config, port=0, kind="development")
            self._servers[kind] = self._open.enter_context(server)
            with RankingClient(server.target, "R5-candidates" if kind == "candidates" else "R5") as client:
                client.wait_until_available(deadline_seconds=120)
        return self._servers[kind]


def _with(found: list[str], option: str, value: str, add: bool) -> list[str]:
    """A command with another value of an option."""
    if option in found:
        place = found.index(option) + 1
        return [*found[:place], value, *found[place + 1 :]]
    return [*found, option, value] if add else found
