from pathlib import Path

from tf_e2egrec.dataset.description.reference import description_reference

DOCUMENT = Path(__file__).parents[3] / "docs" / "description_file.md"


def test_the_document_is_what_the_models_say():
    """Regenerate it with `python -m tf_e2egrec.dataset.description.reference > docs/description_file.md`."""
    assert DOCUMENT.read_text(encoding="utf-8") == description_reference()


def test_every_key_has_a_meaning():
    rows = [line for line in description_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 80
    assert not [
        row for row in rows if row.rstrip(" |").endswith("|") or row.split(" | ")[-1].strip(" |") == ""
    ]
