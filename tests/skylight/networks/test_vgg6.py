"""VGG6 with the weights that braai's authors published: on real packets, and how real the simulated ones look to it."""

import numpy as np
import pytest

from skylight.alerts.packets import Alert, alerts, packed
from skylight.alerts.scoring import score_stream
from skylight.errors import InputError
from skylight.networks.vgg6 import load_vgg6, vgg6
from skylight.simulations.alerts import BOGUS, REAL, draw_candidate

PER_CLASS = 120


@pytest.fixture(scope="module")
def braai(real_data):
    return load_vgg6(real_data("published_weights") / "braai_d6_m9.weights.h5")


def test_real_packets_score_above_098_with_the_published_weights(braai, real_data):
    ((some, triplets, scores, rejected),) = score_stream(braai, alerts([real_data("ztf_alerts")]))
    assert len(some) == 6 and triplets.shape == (6, 63, 63, 3) and not rejected
    assert (scores > 0.98).all()


@pytest.mark.slow
def test_the_simulated_survey_is_as_hard_as_the_real_one(braai, capsys):
    """The published network is right for about 98.3 % of either class of the real survey (Duev et al. 2019)."""

    def simulated():
        for label in ("real", "bogus"):
            for number in range(PER_CLASS):
                kind, found = draw_candidate(label, np.random.default_rng([5, label == "real", number]))
                kinds.append(kind)
                yield Alert("simulated", number, label, tuple(map(packed, found.cutouts)))

    kinds, scores = [], []
    for _, _, some, rejected in score_stream(braai, simulated()):
        assert not rejected
        scores += some.tolist()
    called_real, kinds = np.array(scores) >= 0.5, np.array(kinds)
    recall, rejection = called_real[:PER_CLASS].mean(), 1 - called_real[PER_CLASS:].mean()
    by_kind = {kind: f"{called_real[kinds == kind].mean():.2f}" for kind in (*REAL, *BOGUS)}
    with capsys.disabled():
        print(
            f"\npublished braai on simulated alerts: real {recall:.3f}, bogus {rejection:.3f}; called real: {by_kind}"
        )
    assert 0.93 < recall < 0.999 and 0.88 < rejection < 0.999


def test_weights_of_one_output_and_two_come_back(tmp_path):
    for outputs in (1, 2):
        model = vgg6(outputs)
        model.save_weights(tmp_path / "vgg6.weights.h5")
        again = load_vgg6(tmp_path / "vgg6.weights.h5")
        assert again.output_shape == (None, outputs)
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


def test_other_files_are_told(tmp_path, real_data):
    (tmp_path / "text.h5").write_text("no weights")
    for path, reason in (
        (tmp_path / "text.h5", "not the weights of a VGG6"),
        (tmp_path / "nowhere.h5", "no such weights"),
        (real_data("published_weights") / "crts_periodic_cnn.h5", "not the weights of a VGG6"),
    ):
        with pytest.raises(InputError, match=reason):
            load_vgg6(path)
