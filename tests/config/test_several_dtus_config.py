"""The settings of several DTUs: what is taken, what is refused, and in which words."""

from typing import Any

import pytest

from opendtu_dcload.config import parse_config
from tests.config.correct_config import SECRET, SERIAL, problem, problems, table

OTHER = "1410a0b1c2d3"


def dtu(name: str | None = "garage", host: str = "192.168.1.51", **keys: Any) -> dict[str, Any]:
    named = {} if name is None else {"name": name}
    return {"host": host, "password": SECRET, **named, **keys}


def two(*inverters: dict[str, Any], garage: dict[str, Any] | None = None, roof: dict[str, Any] | None = None) -> Any:
    listed = inverters or ({"serial": SERIAL, "opendtu": "garage"}, {"serial": OTHER, "opendtu": "roof"})
    return table(opendtu=[garage or dtu(), roof or dtu("roof", "192.168.1.52")], inverter=list(listed))


def test_one_dtu_needs_no_name_and_commands_every_inverter():
    config = parse_config(table(inverter=[{"serial": SERIAL}, {"serial": OTHER}]))
    (only,) = config.dtus
    assert (only.name, only.label) == ("opendtu", "DTU")
    assert config.serials_of(only) == (SERIAL, OTHER)
    assert only.max_commands_per_hour == 300
    assert config.control.priority == "balanced"


@pytest.mark.parametrize("written", [dtu(), [dtu()]], ids=["single brackets", "double brackets"])
def test_one_dtu_may_have_a_name_and_inverters_may_say_it(written: object):
    config = parse_config(
        table(opendtu=None) | {"opendtu": written, "inverter": [{"serial": SERIAL, "opendtu": "garage"}]}
    )
    assert [d.label for d in config.dtus] == ["DTU garage"]
    assert config.dtu_of(config.inverters[0]) is config.dtus[0]


def test_each_inverter_belongs_to_the_dtu_that_it_names():
    config = parse_config(two())
    assert [config.serials_of(d) for d in config.dtus] == [(SERIAL,), (OTHER,)]
    assert [config.dtu_of(i).host for i in config.inverters] == ["192.168.1.51", "192.168.1.52"]


def test_each_dtu_holds_ten_inverters():
    inverters = [{"serial": f"1161900000{n}", "opendtu": ("garage", "roof")[n % 2]} for n in range(10, 30)]
    assert len(parse_config(two(*inverters)).inverters) == 20


def test_a_dtu_without_inverters_needs_no_password():
    config = parse_config(two({"serial": SERIAL, "opendtu": "garage"}, roof={"name": "roof", "host": "roof"}))
    assert config.serials_of(config.dtus[1]) == ()


def test_the_passwords_of_several_come_each_from_its_own_place(tmp_path):
    (tmp_path / "key").write_text("one", encoding="utf-8")
    garage, roof = dtu(password_file="key"), dtu("roof", "b", password_env="ROOF")
    del garage["password"], roof["password"]
    config = parse_config(two(garage=garage, roof=roof), tmp_path, {"ROOF": "two"})
    assert [d.password.get_secret_value() for d in config.dtus if d.password] == ["one", "two"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            two(roof=dtu("roof", max_commands_per_hour=11, host="b")),
            "opendtu[#2].max_commands_per_hour: 11 is too small; write a whole number from 12 to 1800",
        ),
        (
            two(garage=dtu(None)),
            "opendtu[#1].name is missing, and DTUs are told apart by it; write a name in quotes that no other DTU has",
        ),
        (
            two(*({"serial": s, "opendtu": "garage"} for s in (SERIAL, OTHER)), roof=dtu("garage", "b")),
            "opendtu[#2].name: 'garage' is that of opendtu[#1] too; each needs its own",
        ),
        (
            two(garage=dtu(host="Dtu:80"), roof=dtu("roof", "dtu")),
            "opendtu[#2].host: 'dtu' is that of opendtu[#1] too; list each DTU once",
        ),
        (
            two({"serial": SERIAL}),
            (
                "inverter[#1].opendtu is missing, and there are several DTUs; "
                'write below [[inverter]] which one commands it: "garage", "roof"'
            ),
        ),
        (
            two({"serial": SERIAL, "opendtu": "Garage"}),
            "inverter[#1].opendtu: 'Garage' is no DTU; write one of \"garage\", \"roof\"",
        ),
        (
            table(inverter=[{"serial": SERIAL, "opendtu": "garage"}]),
            "inverter[#1].opendtu: 'garage' is no DTU; write one of \"opendtu\"",
        ),
        (
            two(*({"serial": f"1161900000{n}", "opendtu": "roof"} for n in range(10, 21))),
            'inverter: 11 are listed with opendtu = "roof"; OpenDTU holds 10, so remove some',
        ),
        (
            two(roof={"name": "roof", "host": "b"}),
            (
                "opendtu[#2].password is missing, and OpenDTU takes no limit without it; "
                "write its admin password below [[opendtu]], or its place as password_file or password_env"
            ),
        ),
        (
            table(opendtu=[dtu(f"d{n}", f"h{n}") for n in range(11)], inverter=[{"serial": SERIAL, "opendtu": "d0"}]),
            "opendtu: 11 are listed; 10 are possible, so remove some",
        ),
        (
            two(roof=dtu("roof", "b", pollinterval_s=5)),
            "opendtu[#2].pollinterval_s is unknown; did you mean poll_interval_s?",
        ),
        ({**table(), "opendtu": []}, "opendtu is a list; write [opendtu] on a line of its own and its settings below"),
        ({**table(), "opendtu": [5]}, "opendtu is a list; write [opendtu] on a line of its own and its settings below"),
        (
            table(control={"priority": "no-imports"}),
            (
                "control.priority: 'no-imports' is none of the choices; "
                'write one of "no-export", "balanced", "no-import"'
            ),
        ),
    ],
)  # fmt: skip
def test_a_mistake_names_key_value_and_what_to_write(source: dict[str, Any], message: str):
    assert problem(source) == message


def test_all_mistakes_of_several_dtus_come_in_one_run():
    roof = {"host": "192.168.1.51:80", "poll_interval_s": 0}
    found = problems(two({"serial": SERIAL, "opendtu": "garage"}, {"serial": OTHER, "opendtu": 5}, roof=roof))
    assert [line.split(" ")[0] for line in found] == [
        "opendtu[#2].poll_interval_s:",
        "inverter[#2].opendtu:",
        "opendtu[#2].name",
        "opendtu[#2].host:",
    ]


def test_a_missing_password_is_told_beside_a_wrong_name():
    first, second = problems(table(opendtu=None) | {"opendtu": {"host": "dtu", "name": ""}})
    assert first.startswith("opendtu.name: '' is empty")
    assert second.startswith("opendtu.password is missing")
