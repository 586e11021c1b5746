"""Reads charts back."""

import xml.etree.ElementTree as ET


def read_svg(text):
    """The root of a well-formed drawing; every text and mark lies within its view box."""
    root = ET.fromstring(text)
    assert root.tag == "svg"
    assert root.get("role") == "img"
    assert root.get("aria-label")
    left, top, width, height = map(float, root.get("viewBox").split())
    assert (left, top) == (0, 0)
    for one in root.iter():
        for name, most in (
            ("x", width),
            ("cx", width),
            ("x1", width),
            ("x2", width),
            ("y", height),
            ("cy", height),
        ):
            assert 0 <= float(one.get(name, 0)) <= most, (one.tag, one.attrib)
    return root


def texts(root):
    return [one.text for one in root.iter("text")]


def place_of(root, text):
    """x of a label."""
    (found,) = [float(one.get("x")) for one in root.iter("text") if one.text == text]
    return found
