# SPDX-License-Identifier: Apache-2.0
"""`gridtie catalogue`, and the script that takes the two tables out of their packages."""
import json
import subprocess
import sys
import zipfile

import pytest

from conftest import REPO

SCRIPT = REPO / "tools/catalogue-sources"
TABLE = {f"m{i}": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 4e-06}
         for i in range(100)}
DATA = '''
from decimal import Decimal
import datetime
from .types import ModelPrice, Provider
providers: list[Provider] = [
    Provider(id='openai', models=[
        ModelInfo(id='m', match=ClauseOr(or_=[ClauseEquals(equals='m'), ClauseRegex(regex='^m-[0-9]+$'),
                                             ClauseAnd(and_=[ClauseStartsWith(starts_with='a'), ClauseEndsWith(ends_with='b'),
                                                             ClauseContains(contains='c')])]),
                  context_window=9000,
                  prices=ModelPrice(input_mtok=Decimal('0.1'), output_mtok=Decimal('10'),
                                    cache_read_mtok=TieredPrices(base=Decimal('0.01'),
                                                                 tiers=[Tier(start=200000, price=Decimal('0.02'))]))),
        ModelInfo(id='dated', match=ClauseEquals(equals='dated'), prices=[
            ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2026, 2, 3)),
                             prices=ModelPrice(input_mtok=Decimal('2'))),
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('1')))]),
        ModelInfo(id='hours', match=ClauseEquals(equals='hours'), prices=[
            ConditionalPrice(constraint=TimeOfDateConstraint(start_time=1, end_time=2), prices=ModelPrice(input_mtok=Decimal('1'))),
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('3')))]),
    ]),
]
'''


def wheels(folder, table=TABLE, data=DATA):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "litellm-1.2.3-py3-none-any.whl", "w") as z:
        z.writestr("litellm/model_prices_and_context_window_backup.json", json.dumps(table))
    with zipfile.ZipFile(folder / "genai_prices-4.5-py3-none-any.whl", "w") as z:
        z.writestr("genai_prices/data.py", data)
    return folder


def extract(folder, out):
    return subprocess.run([sys.executable, SCRIPT, "--wheels", folder, out], capture_output=True, text=True)


def test_the_script_reads_both_packages(tmp_path):
    done = extract(wheels(tmp_path / "wheels"), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out/litellm.json").read_text()) == TABLE
    assert json.loads((tmp_path / "out/versions.json").read_text()) == {"litellm": "1.2.3", "genai-prices": "4.5"}
    [openai] = json.loads((tmp_path / "out/genai-prices.json").read_text())
    m, dated, hours = openai["models"]
    assert m["match"] == {"or": [{"equals": "m"}, {"regex": "^m-[0-9]+$"},
                                 {"and": [{"starts_with": "a"}, {"ends_with": "b"}, {"contains": "c"}]}]}
    assert m["prices"] == [{"from": None, "input": "0.1", "output": "10", "tier": 200000, "tier_cache_read": "0.02",
                            "cache_read": "0.01"}]
    assert m["context"] == 9000 and dated["context"] == 0
    assert dated["prices"] == [{"from": None, "input": "1"}, {"from": "2026-02-03", "input": "2"}]
    assert hours["prices"] == [{"from": None, "input": "3"}], "of prices by the hour the dearest"


@pytest.mark.parametrize("table, data", [({}, DATA), (TABLE, "x = 1\n"), (TABLE, DATA.replace("Decimal('0.1')", "f()"))])
def test_the_script_leaves_the_old_tables_where_the_new_are_none(tmp_path, table, data):
    assert extract(wheels(tmp_path / "wheels"), tmp_path / "out").returncode == 0
    before = {p.name: p.read_text() for p in (tmp_path / "out").iterdir()}
    done = extract(wheels(tmp_path / "wheels", table, data), tmp_path / "out")
    assert done.returncode != 0
    assert {p.name: p.read_text() for p in (tmp_path / "out").iterdir()} == before


def script_of(home, folder):
    """In place of the one that fetches: takes the tables from a folder."""
    script = home.folder / "sources"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} {SCRIPT} --wheels {folder} \"$1\"\n")
    script.chmod(0o700)
    return str(script)


def test_update_show_and_diff(home, configured, tmp_path):
    data = DATA.replace("'^m-[0-9]+$'", "'^m1$'").replace("ClauseEquals(equals='dated')", "ClauseEquals(equals='m2')")
    env = {"GRIDTIE_CATALOGUE_SOURCES": script_of(home, wheels(tmp_path / "wheels", data=data))}
    done = home("catalogue", "update", **env)
    assert done.returncode == 0 and "no daemon runs" in done.stdout, done.stderr
    assert configured("serve", "--daemon").returncode == 0
    done = configured("catalogue", "update", **env)
    assert done.returncode == 0 and "fetched and compiled" in done.stdout, done.stderr
    shown = configured("catalogue").stdout
    assert "litellm 1.2.3: 100 models" in shown and "genai-prices 4.5: 3 rules" in shown and "openai" in shown
    shown = configured("catalogue", "show", "m1").stdout
    assert "m19" in shown and "m2" not in shown
    assert json.loads(configured("catalogue", "show", "m1", "--json").stdout)["models"][0]["facts"]["source"] == "litellm"
    assert "sim/m" in configured("catalogue", "show", "sim/m").stdout
    differing = json.loads(configured("catalogue", "diff", "--json").stdout)["models"]
    assert {d["model"] for d in differing} == {"m1", "m2"}
    assert "2 models have one price" in configured("catalogue", "diff").stdout


def test_update_that_fails_says_so(home, tmp_path):
    done = home("catalogue", "update", GRIDTIE_CATALOGUE_SOURCES=script_of(home, tmp_path))
    assert done.returncode == 1 and "no wheel of litellm" in done.stderr
    done = home("catalogue", "update", GRIDTIE_CATALOGUE_SOURCES="/nowhere")
    assert done.returncode == 1 and "catalogue-sources" in done.stderr
    for wrong in (("catalogue", "push"), ("catalogue", "diff", "x"), ("catalogue", "update", "--json")):
        assert home(*wrong).returncode == 2
