"""Keys come from where the settings say, and are the same after a restart."""

from __future__ import annotations

from pathlib import Path

from services.orchestrator.provenance.settings import ProvenanceSettings, make_provenance
from uniaudio.audio.watermark import Marker
from uniaudio.runtime.settings import read_settings


def settings(folder: Path, **environment: str) -> ProvenanceSettings:
    return read_settings(ProvenanceSettings, {"UNIAUDIO_KEYS_DIR": str(folder / "keys"), **environment})


def test_a_machine_keeps_the_keys_it_made(tmp_path: Path) -> None:
    _, first = make_provenance(settings(tmp_path))
    _, again = make_provenance(settings(tmp_path))
    assert again.public_keys() == first.public_keys()


def test_keys_of_the_settings_are_taken_instead(tmp_path: Path) -> None:
    _, others = make_provenance(settings(tmp_path / "others"))
    files = {
        "UNIAUDIO_SIGNING_KEY": str(tmp_path / "others/keys/signing.pem"),
        "UNIAUDIO_WATERMARK_KEY": str(tmp_path / "others/keys/watermark.key"),
    }
    _, verifier = make_provenance(settings(tmp_path, **files))
    assert verifier.public_keys() == others.public_keys()
    assert not (tmp_path / "keys").exists()


def test_the_watermark_can_be_turned_off(tmp_path: Path) -> None:
    on, _ = make_provenance(settings(tmp_path))
    off, _ = make_provenance(settings(tmp_path, UNIAUDIO_WATERMARK="false"))
    assert isinstance(on.marker(), Marker)
    assert not isinstance(off.marker(), Marker)
