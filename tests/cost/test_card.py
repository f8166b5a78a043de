"""Rate cards: the figures that are printed in the documentation of services, to the last digit, and what is said of a card that is malformed."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from hail_batch_jupyter.core.spec import Request
from hail_batch_jupyter.core.units import memory_bytes, parse_bytes, parse_cpu
from hail_batch_jupyter.cost.card import built_in, card_data, card_of, chosen_card, load_card
from hail_batch_jupyter.cost.money import amount_text, decimal_text, dollars, rate_text
from hail_batch_jupyter.cost.rates import HOUR_MS, Allotment, Card
from hail_batch_jupyter.errors import ConfigError, GrantError

MINUTE_MS = 60_000
OWN = """
name = "lab"
date = 2026-03-01
source = "the price list of the lab"

[[price]]
part = "compute"
usd = 0.03
per = "core-hour"
"""


def request(cpu: str = "1", memory: str | None = None, storage: str | None = None, spot: bool | None = None) -> Request:
    asked = tuple((name, text) for name, text in (("cpu", cpu), ("memory", memory), ("storage", storage)) if text is not None)
    mcpu = parse_cpu(cpu)
    disk = None if storage is None else parse_bytes(storage)
    return Request(mcpu, None if memory is None else memory_bytes(memory, mcpu), disk, spot=spot, asked=asked)


def test_the_flat_rate_has_four_parts_and_their_sum_to_the_digits_printed() -> None:
    card = load_card("hail-classic")

    hour = card.hourly(card.grant(request()))

    assert (rate_text(hour.compute), amount_text(hour.disk), rate_text(hour.network), rate_text(hour.service)) == ("0.01000", "0.001454", "0.00025", "0.01000")
    assert hour.disk == Fraction("0.17") * 100 / (Fraction("365.25") / 12) / 24 / 16
    assert hour.memory == 0
    assert rate_text(hour.total) == "0.02170"
    assert amount_text(hour.total) == "0.021704"


@pytest.mark.parametrize(("memory", "cores"), [("3.75G", 1), ("7G", 2), ("7Gi", 2), ("10G", 3), ("10Gi", 3), ("500Mi", 1), (None, 1), ("standard", 1)])
def test_one_core_with_much_memory_is_billed_as_more_cores(memory: str | None, cores: int) -> None:
    granted = load_card("hail-classic").grant(request("1", memory))

    assert granted.cpu_mcpu == cores * 1000
    assert granted.memory_bytes == cores * parse_bytes("3.75Gi")


def test_cores_alone_are_not_rounded_by_the_flat_rate() -> None:
    card = load_card("hail-classic")

    assert card.grant(request("0.5")).cpu_mcpu == 500
    assert card.grant(request("0.5", "1Gi")).cpu_mcpu == 500
    assert card.grant(request("0.5", "3Gi")).cpu_mcpu == 1000


def test_a_job_of_two_cores_costs_twice_as_much() -> None:
    card = load_card("hail-classic")

    assert amount_text(card.price(card.grant(request("1", "7G")), HOUR_MS).total) == "0.043409"


def test_two_minutes_until_a_preemption_and_five_after_it_cost_seven_minutes() -> None:
    card = load_card("hail-classic")
    granted = card.grant(request())
    attempts = [(0, 2 * MINUTE_MS), (3 * MINUTE_MS, 8 * MINUTE_MS)]

    paid = sum(card.price(granted, card.billed_ms(start, end)).total for start, end in attempts)

    assert paid == card.price(granted, 7 * MINUTE_MS).total
    assert amount_text(Fraction(paid)) == "0.002532"


def test_copies_are_free_where_only_the_job_itself_is_charged() -> None:
    times = {"started_ms": 1_000, "main_ms": 11_000, "output_ms": 71_000, "ended_ms": 91_000}

    assert load_card("hail-classic").billed_ms(**times) == 60_000
    assert load_card("hail").billed_ms(**times) == 90_000
    assert load_card("hail").billed_ms(None, 91_000) == 0


@pytest.mark.parametrize(
    ("memory", "spot", "printed"),
    [
        ("standard", True, "0.026842"),
        ("highmem", True, "0.029295"),
        ("lowmem", True, "0.024302"),
        ("standard", False, "0.064498"),
        ("highmem", False, "0.076149"),
        ("lowmem", False, "0.052432"),
    ],
)
def test_a_core_hour_costs_what_is_published(memory: str, spot: bool, printed: str) -> None:
    card = load_card("hail")

    assert amount_text(card.hourly(card.grant(request("1", memory, spot=spot))).total) == printed


def test_a_gib_hour_of_more_disk_costs_what_is_published() -> None:
    card = load_card("hail")
    with_disk, without = (card.hourly(card.grant(request("1", "standard", storage))).disk for storage in ("100Gi", None))

    assert rate_text((with_disk - without) / 100) == "0.00023"


@pytest.mark.parametrize(
    ("cpu", "memory", "worker", "cores", "mib"),
    [
        ("1", "standard", "standard", 1, 3840),
        ("1", None, "standard", 1, 3840),
        ("1", "500Mi", "highcpu", 1, 924),
        ("1", "2.5Gi", "standard", 1, 3840),
        ("1", "4Gi", "highmem", 1, 6656),
        ("1", "5Gi", "highmem", 1, 6656),
        ("1", "7Gi", "standard", 2, 7680),
        ("1", "15Gi", "standard", 4, 15360),
        ("0.25", "50Mi", "highcpu", 0.25, 231),
        ("0.25", "500Mi", "standard", 0.25, 960),
        ("2", "10Gi", "highmem", 2, 13312),
        ("4", "30Gi", "standard", 8, 30720),
        ("0.5", "100Gi", "highmem", 16, 106496),
        ("3", "standard", "standard", 4, 15360),
    ],
)
def test_the_cheapest_worker_that_has_it_is_granted(cpu: str, memory: str | None, worker: str, cores: float, mib: int) -> None:
    granted = load_card("hail").grant(request(cpu, memory))

    assert (granted.worker, granted.cpu_mcpu, granted.memory_bytes) == (worker, cores * 1000, mib << 20)


def test_what_no_worker_has_is_refused_with_the_shapes() -> None:
    card = load_card("hail")

    with pytest.raises(GrantError, match=r"no worker of rate card 'hail' has 1 cores and 105.0 GiB of memory: standard has 16 cores with 3.8 GiB each"):
        card.grant(request("1", "105Gi"))
    with pytest.raises(GrantError, match="70000 GiB of disk for a job; ask for 65536 GiB or less"):
        card.grant(request(storage="70000Gi"))
    with pytest.raises(GrantError, match="no workers with GPUs"):
        card.grant(Request(gpus=1))
    with pytest.raises(GrantError, match="no price for machine type 'a2-highgpu-1g'"):
        card.grant(Request(machine_type="a2-highgpu-1g"))


def test_a_machine_of_ones_own_is_charged_whole() -> None:
    card = load_card("hail")
    granted = card.grant(Request(machine_type="n1-standard-4"))

    assert granted == Allotment(4000, 15360 << 20, 10 << 30, "n1-standard-4", Fraction(1), alone=True)
    assert rate_text(card.hourly(granted).network) == "0.00250"


def test_a_little_disk_is_raised_to_the_least_there_is() -> None:
    card = load_card("hail")

    assert [card.grant(request(storage=size)).storage_bytes >> 30 for size in ("0", "1Gi", "10.5Gi")] == [0, 10, 11]


def test_the_resources_of_a_price_add_up_to_it() -> None:
    card = load_card("hail")
    granted = card.grant(request("2", "highmem", "20Gi", spot=False))
    by_resource = card.by_resource(granted, 12_345)

    assert sum(by_resource.values()) == card.price(granted, 12_345).total
    assert list(by_resource) == [
        "compute/n1-nonpreemptible",
        "memory/n1-nonpreemptible",
        "disk/pd-ssd",
        "disk/local-ssd",
        "ip-fee/nonpreemptible/1024/1",
        "service-fee/1",
        "gcp-support-logs-specs-and-firewall-fees/1",
    ]


def test_core_hours_have_the_rate_that_is_named() -> None:
    card = load_card("core-hours:0.0217")

    assert card.label == "core-hours:0.0217 (rate as set)"
    assert card.price(card.grant(request("4", "100Gi")), HOUR_MS).total == Fraction("0.0868")
    assert load_card("core-hours").free
    assert not card.free


def test_this_machine_is_free() -> None:
    card = load_card("this-machine")

    assert card.free
    assert card.price(card.grant(Request(cpu_mcpu=64_000, gpus=2)), HOUR_MS).total == 0


@pytest.mark.parametrize("name", built_in())
def test_a_card_survives_json(name: str) -> None:
    card = load_card(name)

    assert card.source
    assert card_of(json.loads(json.dumps(card_data(card))), "a run") == card


def test_ones_own_card_is_one_small_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(OWN)
    monkeypatch.setenv("HAIL_BATCH_RATE_CARD", str(path))

    card = chosen_card("local")

    assert card.label == "lab (2026-03-01)"
    assert card.price(card.grant(request("2")), HOUR_MS).total == Fraction("0.06")


def test_the_card_is_the_one_named_then_the_setting_then_that_of_the_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("HAIL_BATCH_RATE_CARD", raising=False)

    assert [chosen_card(backend).name for backend in ("local", "slurm", "service", "another")] == ["this-machine", "core-hours", "hail", "this-machine"]
    monkeypatch.setenv("HAIL_BATCH_RATE_CARD", "hail-classic")
    assert chosen_card("local").name == "hail-classic"
    assert chosen_card("local", "hail").name == "hail"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(("usd = 0.03", "usd = -1"), "price 1: usd is -1; it must be dollars of 0 or more", id="a negative rate"),
        pytest.param(("usd = 0.03", "usd = 'cheap'"), "price 1: usd is 'cheap'; it must be dollars", id="no number"),
        pytest.param(("usd = 0.03", "usd = inf"), "cannot be read .*inf", id="no end"),
        pytest.param(("usd = 0.03", ""), "price 1: 'usd' is missing", id="no rate"),
        pytest.param(('"compute"', '"comput"'), "part is 'comput'; it must be one of compute, memory, disk, network, service", id="part"),
        pytest.param(('"core-hour"', '"core-hours"'), "per is 'core-hours'; it must be one of core-hour, GiB-hour", id="unit"),
        pytest.param(('"core-hour"', '"worker-hour"'), r"'compute' is per worker-hour, and there is no \[\[worker\]\]", id="no worker"),
        pytest.param(("source", "sourc"), "'sourc' is not known; did you mean 'source'?", id="unknown key"),
        pytest.param(("date = 2026-03-01", ""), "'date' is missing; it must be a text in quotes, or a date", id="no date"),
        pytest.param(("[[price]]", "[price]"), "price is .*; it must be a list", id="one table"),
        pytest.param(("[[price]]", "price = 3\n[[prices]]"), "'prices' is not known; did you mean 'price'", id="misspelt table"),
        pytest.param((OWN, 'name = "lab"\ndate = "x"'), r"it has no price; write at least one \[\[price\]\]", id="no price"),
        pytest.param(("[[price]]", "[[price"), "cannot be read", id="no TOML"),
    ],
)
def test_a_malformed_card_is_refused_with_its_place(change: tuple[str, str], complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(OWN.replace(*change))

    with pytest.raises(ConfigError, match=complaint) as caught:
        load_card(path)
    assert str(path) in str(caught.value)


def test_an_unknown_card_is_refused_with_the_close_one() -> None:
    with pytest.raises(ConfigError, match="there is no rate card 'hial'; did you mean 'hail'"):
        load_card("hial")
    with pytest.raises(ConfigError, match="'core-hours:much': 'much' is no rate"):
        load_card("core-hours:much")


def test_halves_are_rounded_to_the_even_digit() -> None:
    assert [decimal_text(Fraction(text), 1) for text in ("0.25", "0.35", "-0.25", "7")] == ["0.2", "0.4", "-0.2", "7.0"]


@pytest.mark.parametrize(
    ("usd", "text"), [("0", "$0"), ("0.0000001", "under $0.000001"), ("0.000021", "$0.000021"), ("0.0217", "$0.0217"), ("3.42", "$3.42"), ("1204", "$1,204.00")]
)
def test_amounts_are_written_as_people_read_them(usd: str, text: str) -> None:
    assert dollars(Fraction(usd)) == text


def test_a_card_is_a_value() -> None:
    assert load_card("hail") == load_card("hail")
    assert isinstance(load_card("hail"), Card)
